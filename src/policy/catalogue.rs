//! The service files of `policies/`, embedded; a test checks that none is left out.

macro_rules! catalogue {
    ($($name:literal),* $(,)?) => {
        /// File name and text of every shipped service.
        pub(super) const CATALOGUE: &[(&str, &str)] =
            &[$(($name, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/policies/", $name)))),*];
    };
}

catalogue![
    "airtable.toml",
    "anthropic.toml",
    "asana.toml",
    "brave-search.toml",
    "cerebras.toml",
    "cloudflare.toml",
    "cohere.toml",
    "datadog.toml",
    "deepgram.toml",
    "deepseek.toml",
    "digitalocean.toml",
    "elevenlabs.toml",
    "exa.toml",
    "figma.toml",
    "firecrawl.toml",
    "fireworks.toml",
    "gemini.toml",
    "github.toml",
    "gitlab.toml",
    "groq.toml",
    "heroku.toml",
    "huggingface.toml",
    "linear.toml",
    "mistral.toml",
    "netlify.toml",
    "notion.toml",
    "npm.toml",
    "nvidia.toml",
    "openai.toml",
    "openrouter.toml",
    "pagerduty.toml",
    "perplexity.toml",
    "pinecone.toml",
    "pypi.toml",
    "render.toml",
    "replicate.toml",
    "resend.toml",
    "sendgrid.toml",
    "sentry.toml",
    "slack.toml",
    "stripe.toml",
    "supabase.toml",
    "tavily.toml",
    "together.toml",
    "twilio.toml",
    "vercel.toml",
    "xai.toml",
];
