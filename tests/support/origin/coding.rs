//! Content codings, and the spellings in which an answer can repeat a credential.

use std::io::Cursor;

use async_compression::tokio::bufread;
use base64::{Engine as _, engine::general_purpose};
use leasehold::base::hex;
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use tokio::io::AsyncReadExt as _;

/// Codes a body with each coding of a comma list in turn, as `Content-Encoding` lists them.
///
/// # Panics
/// On a coding that is not `gzip`, `br`, `zstd`, `deflate`, `deflate-raw` (without the zlib wrapping, as some servers
/// wrongly send it) or `identity`.
pub async fn encode(codings: &str, body: &[u8]) -> Vec<u8> {
    let mut body = body.to_vec();
    for coding in codings.split(',').map(str::trim) {
        let mut coded = Vec::new();
        let plain = Cursor::new(body.clone());
        match coding {
            "br" => bufread::BrotliEncoder::new(plain).read_to_end(&mut coded).await,
            "deflate" => bufread::ZlibEncoder::new(plain).read_to_end(&mut coded).await,
            "deflate-raw" => bufread::DeflateEncoder::new(plain).read_to_end(&mut coded).await,
            "gzip" => bufread::GzipEncoder::new(plain).read_to_end(&mut coded).await,
            "identity" => tokio::io::copy(&mut plain.clone(), &mut coded).await.map(|_| 0),
            "zstd" => bufread::ZstdEncoder::new(plain).read_to_end(&mut coded).await,
            other => panic!("unknown coding `{other}`"),
        }
        .unwrap();
        body = coded;
    }
    body
}

/// Undoes [`encode`]; an error when the body is not so coded.
pub async fn decode(codings: &str, body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut body = body.to_vec();
    for coding in codings.rsplit(',').map(str::trim).filter(|coding| !coding.is_empty()) {
        let mut plain = Vec::new();
        let coded = Cursor::new(body.clone());
        match coding {
            "br" => bufread::BrotliDecoder::new(coded).read_to_end(&mut plain).await,
            "deflate" => bufread::ZlibDecoder::new(coded).read_to_end(&mut plain).await,
            "deflate-raw" => bufread::DeflateDecoder::new(coded).read_to_end(&mut plain).await,
            "gzip" => {
                let mut decoder = bufread::GzipDecoder::new(coded);
                decoder.multiple_members(true);
                decoder.read_to_end(&mut plain).await
            }
            "identity" => tokio::io::copy(&mut coded.clone(), &mut plain).await.map(|_| 0),
            "zstd" => bufread::ZstdDecoder::new(coded).read_to_end(&mut plain).await,
            other => panic!("unknown coding `{other}`"),
        }?;
        body = plain;
    }
    Ok(body)
}

/// A text in another spelling (attack 73).
///
/// # Panics
/// On an unknown name.
pub fn spell(spelling: &str, text: &[u8]) -> String {
    match spelling {
        "base64" => general_purpose::STANDARD.encode(text),
        "base64-unpadded" => general_purpose::STANDARD_NO_PAD.encode(text),
        "base64url" => general_purpose::URL_SAFE_NO_PAD.encode(text),
        "hex" => hex(text),
        "hex-upper" => hex(text).to_uppercase(),
        "json" => json_escape(text, |c| matches!(c, '"' | '\\') || c.is_control()),
        "json-all" => json_escape(text, |_| true),
        "percent" => percent_encode(text, NON_ALPHANUMERIC).to_string(),
        "percent-all" => text.iter().map(|byte| format!("%{byte:02X}")).collect(),
        "percent-lower" => text.iter().map(|byte| format!("%{byte:02x}")).collect(),
        "raw" => String::from_utf8_lossy(text).into_owned(),
        other => panic!("unknown spelling `{other}`"),
    }
}

/// Every name that [`spell`] knows.
pub const SPELLINGS: [&str; 11] = [
    "base64",
    "base64-unpadded",
    "base64url",
    "hex",
    "hex-upper",
    "json",
    "json-all",
    "percent",
    "percent-all",
    "percent-lower",
    "raw",
];

fn json_escape(text: &[u8], is_escaped: impl Fn(char) -> bool) -> String {
    let mut out = String::new();
    for unit in String::from_utf8_lossy(text).encode_utf16() {
        let c = char::from_u32(u32::from(unit)).unwrap_or('\u{1}');
        if is_escaped(c) { out.push_str(&format!("\\u{unit:04x}")) } else { out.push(c) }
    }
    out
}
