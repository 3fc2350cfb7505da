//! What the name of an Amazon endpoint says: service, region, bucket.
//!
//! Invariant: a name that is of no form known here says nothing.

/// A host of Amazon's, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Host<'h> {
    /// The name by which requests to it are signed.
    pub(super) service: &'h str,
    /// The labels that name the service, such as `bedrock-runtime`.
    pub(super) endpoint: &'h str,
    /// `None` for hosts that serve all regions.
    pub(super) region: Option<&'h str>,
    /// The bucket that a virtual host is.
    pub(super) bucket: Option<&'h str>,
}

/// Endpoints that are signed by another name than their own.
const SIGNED_AS: &[(&str, &str)] = &[
    ("api.ecr", "ecr"),
    ("api.pricing", "pricing"),
    ("api.sagemaker", "sagemaker"),
    ("bedrock-agent", "bedrock"),
    ("bedrock-agent-runtime", "bedrock"),
    ("bedrock-runtime", "bedrock"),
    ("email", "ses"),
    ("runtime.sagemaker", "sagemaker"),
    ("streams.dynamodb", "dynamodb"),
];

impl<'h> Host<'h> {
    /// Reads a name in lower case without a final dot.
    pub(super) fn read(name: &'h str) -> Option<Self> {
        if let Some(rest) = name.strip_suffix(".amazonaws.com").or_else(|| name.strip_suffix(".amazonaws.com.cn")) {
            return s3(rest).or_else(|| plain(rest));
        }
        if let Some(rest) = name.strip_suffix(".api.aws") {
            return plain(rest).filter(|host| host.region.is_some());
        }
        let (id, region) = name.strip_suffix(".on.aws")?.split_once(".lambda-url.")?;
        let is_function = !id.is_empty() && !id.contains('.') && is_region(region);
        is_function.then_some(Self { service: "lambda", endpoint: "lambda-url", region: Some(region), bucket: None })
    }
}

/// `SERVICE`, `SERVICE.REGION` and `SERVICE-fips.REGION`; a service can have two labels.
fn plain(rest: &str) -> Option<Host<'_>> {
    let (front, region) = match rest.rsplit_once('.') {
        Some((front, region)) if is_region(region) => (front, Some(region)),
        _ => (rest, None),
    };
    let endpoint = front.strip_suffix("-fips").unwrap_or(front);
    let host = |service, endpoint| Some(Host { service, endpoint, region, bucket: None });
    if let Some((_, service)) = SIGNED_AS.iter().find(|(known, _)| *known == endpoint) {
        return host(service, endpoint);
    }
    if let Some((account, "ddb")) = endpoint.split_once('.') {
        return host("dynamodb", "dynamodb").filter(|_| is_account(account));
    }
    let is_one_label = !endpoint.is_empty() && !endpoint.contains('.') && !endpoint.starts_with("s3");
    if is_one_label { host(endpoint, endpoint) } else { None }
}

/// `[BUCKET.]s3.REGION` with its elder and dual-stack forms.
fn s3(rest: &str) -> Option<Host<'_>> {
    let (front, region) = match rest.rsplit_once('.') {
        Some((front, region)) if is_region(region) => (front, Some(region)),
        _ => (rest, None),
    };
    let (front, is_dual) = front.strip_suffix(".dualstack").map_or((front, false), |front| (front, true));
    let (bucket, label) = match front.rsplit_once('.') {
        Some((bucket, label)) => (Some(bucket), label),
        None => (None, front),
    };
    let region = match (label, region) {
        ("s3", None) if is_dual => return None,
        ("s3" | "s3-accelerate", None) => None,
        ("s3" | "s3-fips", Some(region)) => Some(region),
        (elder, None) if !is_dual => Some(elder.strip_prefix("s3-").filter(|region| is_region(region))?),
        _ => return None,
    };
    if bucket.is_some_and(|bucket| !is_bucket(bucket)) {
        return None;
    }
    Some(Host { service: "s3", endpoint: "s3", region, bucket })
}

/// Such as `eu-west-1` and `us-gov-east-1`.
pub(super) fn is_region(text: &str) -> bool {
    let mut words = text.split('-').rev();
    let number = words.next().is_some_and(|word| word.len() == 1 && word.bytes().all(|b| b.is_ascii_digit()));
    let names: Vec<&str> = words.collect();
    let is_word = |word: &&str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase());
    number && (2..=3).contains(&names.len()) && names.iter().all(is_word) && names.last().is_some_and(|p| p.len() == 2)
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a text is a bucket's name by the rules for new buckets.
pub(super) fn is_bucket(text: &str) -> bool {
    let usable = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    let outer = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    (3..=63).contains(&text.len())
        && text.bytes().all(usable)
        && outer(text.bytes().next())
        && outer(text.bytes().last())
        && !text.contains("..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_say_service_region_and_bucket() {
        for (name, service, region, bucket) in [
            ("dynamodb.eu-west-1.amazonaws.com", "dynamodb", "eu-west-1", ""),
            ("sts.amazonaws.com", "sts", "", ""),
            ("sts.us-gov-west-1.amazonaws.com", "sts", "us-gov-west-1", ""),
            ("kms-fips.us-east-1.amazonaws.com", "kms", "us-east-1", ""),
            ("kms-fips.us-east-1.api.aws", "kms", "us-east-1", ""),
            ("ec2.cn-north-1.amazonaws.com.cn", "ec2", "cn-north-1", ""),
            ("api.ecr.eu-west-1.amazonaws.com", "ecr", "eu-west-1", ""),
            ("bedrock-runtime.us-east-1.amazonaws.com", "bedrock", "us-east-1", ""),
            ("bedrock-runtime-fips.us-east-1.amazonaws.com", "bedrock", "us-east-1", ""),
            ("email.eu-west-1.amazonaws.com", "ses", "eu-west-1", ""),
            ("123456789012.ddb.eu-west-1.amazonaws.com", "dynamodb", "eu-west-1", ""),
            ("lambda.eu-west-1.api.aws", "lambda", "eu-west-1", ""),
            ("abc123.lambda-url.eu-west-1.on.aws", "lambda", "eu-west-1", ""),
            ("s3.amazonaws.com", "s3", "", ""),
            ("s3.eu-west-1.amazonaws.com", "s3", "eu-west-1", ""),
            ("s3-eu-west-1.amazonaws.com", "s3", "eu-west-1", ""),
            ("s3-fips.us-east-1.amazonaws.com", "s3", "us-east-1", ""),
            ("s3-fips.dualstack.us-east-1.amazonaws.com", "s3", "us-east-1", ""),
            ("s3.dualstack.eu-west-1.amazonaws.com", "s3", "eu-west-1", ""),
            ("acme.s3.amazonaws.com", "s3", "", "acme"),
            ("acme.s3-accelerate.amazonaws.com", "s3", "", "acme"),
            ("acme.s3-accelerate.dualstack.amazonaws.com", "s3", "", "acme"),
            ("acme.s3.eu-west-1.amazonaws.com", "s3", "eu-west-1", "acme"),
            ("www.acme.com.s3.dualstack.eu-west-1.amazonaws.com", "s3", "eu-west-1", "www.acme.com"),
            ("acme.s3-eu-west-1.amazonaws.com", "s3", "eu-west-1", "acme"),
            ("acme.s3.s3.eu-west-1.amazonaws.com", "s3", "eu-west-1", "acme.s3"),
        ] {
            let host = Host::read(name).unwrap_or_else(|| panic!("{name}"));
            let found = (host.service, host.region.unwrap_or(""), host.bucket.unwrap_or(""));
            assert_eq!(found, (service, region, bucket), "{name}");
        }
        for unknown in [
            "amazonaws.com",
            "evil.com",
            "s3.amazonaws.com.evil.com",
            "s3.dualstack.amazonaws.com",
            "123456789012.s3-control.eu-west-1.amazonaws.com",
            "ap-1234.s3-accesspoint.eu-west-1.amazonaws.com",
            "acme--use1-az4--x-s3.s3express-use1-az4.us-east-1.amazonaws.com",
            "a_b.s3.eu-west-1.amazonaws.com",
            "a.b.dynamodb.eu-west-1.amazonaws.com",
            "s3.eu-west-1.api.aws",
            "lambda.api.aws",
            "x.y.lambda-url.eu-west-1.on.aws",
            "abc.on.aws",
        ] {
            assert_eq!(Host::read(unknown), None, "{unknown}");
        }
    }
}
