//! Actions that are named by method and path: Lambda and Bedrock.

/// Method, path with `*` for a segment, action.
type Row = (&'static str, &'static str, &'static str);

pub(super) const LAMBDA: &[Row] = &[
    ("GET", "/2015-03-31/functions", "ListFunctions"),
    ("GET", "/2015-03-31/functions/", "ListFunctions"),
    ("POST", "/2015-03-31/functions", "CreateFunction"),
    ("POST", "/2015-03-31/functions/", "CreateFunction"),
    ("GET", "/2015-03-31/functions/*", "GetFunction"),
    ("DELETE", "/2015-03-31/functions/*", "DeleteFunction"),
    ("PUT", "/2015-03-31/functions/*/code", "UpdateFunctionCode"),
    ("GET", "/2015-03-31/functions/*/configuration", "GetFunctionConfiguration"),
    ("PUT", "/2015-03-31/functions/*/configuration", "UpdateFunctionConfiguration"),
    ("POST", "/2015-03-31/functions/*/invocations", "Invoke"),
    ("POST", "/2014-11-13/functions/*/invoke-async", "InvokeAsync"),
    ("POST", "/2014-11-13/functions/*/invoke-async/", "InvokeAsync"),
    ("POST", "/2021-11-15/functions/*/response-streaming-invocations", "InvokeWithResponseStream"),
    ("GET", "/2015-03-31/functions/*/versions", "ListVersionsByFunction"),
    ("POST", "/2015-03-31/functions/*/versions", "PublishVersion"),
    ("GET", "/2015-03-31/functions/*/aliases", "ListAliases"),
    ("POST", "/2015-03-31/functions/*/aliases", "CreateAlias"),
    ("GET", "/2015-03-31/functions/*/aliases/*", "GetAlias"),
    ("PUT", "/2015-03-31/functions/*/aliases/*", "UpdateAlias"),
    ("DELETE", "/2015-03-31/functions/*/aliases/*", "DeleteAlias"),
    ("GET", "/2015-03-31/functions/*/policy", "GetPolicy"),
    ("POST", "/2015-03-31/functions/*/policy", "AddPermission"),
    ("DELETE", "/2015-03-31/functions/*/policy/*", "RemovePermission"),
    ("GET", "/2019-09-30/functions/*/concurrency", "GetFunctionConcurrency"),
    ("PUT", "/2017-10-31/functions/*/concurrency", "PutFunctionConcurrency"),
    ("DELETE", "/2017-10-31/functions/*/concurrency", "DeleteFunctionConcurrency"),
    ("GET", "/2015-03-31/event-source-mappings", "ListEventSourceMappings"),
    ("GET", "/2015-03-31/event-source-mappings/", "ListEventSourceMappings"),
    ("POST", "/2015-03-31/event-source-mappings", "CreateEventSourceMapping"),
    ("POST", "/2015-03-31/event-source-mappings/", "CreateEventSourceMapping"),
    ("GET", "/2015-03-31/event-source-mappings/*", "GetEventSourceMapping"),
    ("PUT", "/2015-03-31/event-source-mappings/*", "UpdateEventSourceMapping"),
    ("DELETE", "/2015-03-31/event-source-mappings/*", "DeleteEventSourceMapping"),
    ("GET", "/2018-10-31/layers", "ListLayers"),
    ("GET", "/2018-10-31/layers/*/versions", "ListLayerVersions"),
    ("GET", "/2018-10-31/layers/*/versions/*", "GetLayerVersion"),
    ("GET", "/2016-08-19/account-settings", "GetAccountSettings"),
    ("GET", "/2016-08-19/account-settings/", "GetAccountSettings"),
    ("GET", "/2017-03-31/tags/*", "ListTags"),
];

/// The action of every request to a function's own URL.
pub(super) const FUNCTION_URL: &str = "InvokeFunctionUrl";

pub(super) const BEDROCK_RUNTIME: &[Row] = &[
    ("POST", "/model/*/invoke", "InvokeModel"),
    ("POST", "/model/*/invoke-with-response-stream", "InvokeModelWithResponseStream"),
    ("POST", "/model/*/converse", "Converse"),
    ("POST", "/model/*/converse-stream", "ConverseStream"),
    ("POST", "/model/*/count-tokens", "CountTokens"),
    ("POST", "/guardrail/*/version/*/apply", "ApplyGuardrail"),
];

pub(super) const BEDROCK: &[Row] = &[
    ("GET", "/foundation-models", "ListFoundationModels"),
    ("GET", "/foundation-models/*", "GetFoundationModel"),
    ("GET", "/inference-profiles", "ListInferenceProfiles"),
    ("GET", "/inference-profiles/*", "GetInferenceProfile"),
];

/// The action of a request, if the table knows it.
pub(super) fn action(table: &[Row], method: &str, path: &str) -> Option<&'static str> {
    let fits = |pattern: &str| {
        let (mut wanted, mut segments) = (pattern.split('/'), path.split('/'));
        loop {
            match (wanted.next(), segments.next()) {
                (None, None) => return true,
                (Some("*"), Some(segment)) if !segment.is_empty() => {}
                (Some(word), Some(segment)) if word == segment => {}
                _ => return false,
            }
        }
    };
    table.iter().find(|(known, pattern, _)| *known == method && fits(pattern)).map(|(.., action)| *action)
}
