//! `[meter.NAME]` of a service: what its answers say was used, and where in them.

use std::sync::Arc;

use super::service::Service;
use crate::policy::{
    files::{At, Names, Span, Table, expected, read_rule},
    rules::{Call, Rule},
};

/// The most places that one meter names.
const MOST_PLACES: usize = 16;

/// What limits count and prices name by themselves, so that no meter can be called that.
const TAKEN: [&str; 6] = ["requests", "at_once", "bytes", "money", "request", "model"];

/// Where an answer says how much was used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meter {
    name: Arc<str>,
    places: Vec<MeterPlace>,
    parts: usize,
    streams: bool,
    part_of: Option<Arc<str>>,
    model: Vec<Steps>,
}

/// The steps of a JSON pointer (RFC 6901), at least one.
pub type Steps = Vec<Box<str>>;

/// One place of a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeterPlace {
    /// Which part of the sum it is; of places with the same part, the one that is read last counts.
    pub part: usize,
    /// Where it stands.
    pub steps: Steps,
}

impl Meter {
    /// A meter that adds up these parts: pointers, or several with ` or ` between them, of which the last that is read
    /// counts. `streams` says whether event streams are read too. The error says which text is no pointer.
    pub fn new(name: &str, parts: &[&str], streams: bool) -> Result<Self, String> {
        let mut places = Vec::new();
        for (part, text) in parts.iter().enumerate() {
            for pointer in text.split(" or ") {
                let steps = steps(pointer).ok_or_else(|| format!("`{}` is no JSON pointer", pointer.escape_debug()))?;
                places.push(MeterPlace { part, steps });
            }
        }
        if places.is_empty() || places.len() > MOST_PLACES {
            return Err(format!("a meter has 1 to {MOST_PLACES} places"));
        }
        Ok(Self { name: name.into(), places, parts: parts.len(), streams, part_of: None, model: Vec::new() })
    }

    /// The same where answers name their model at one of these pointers, with ` or ` between them. The error says which
    /// text is no pointer.
    pub fn with_model(mut self, text: &str) -> Result<Self, String> {
        let steps =
            |pointer| steps(pointer).ok_or_else(|| format!("`{}` is no JSON pointer", str::escape_debug(pointer)));
        self.model = text.split(" or ").map(steps).collect::<Result<_, _>>()?;
        if self.model.len() > MOST_PLACES {
            return Err(format!("a model stands at 1 to {MOST_PLACES} places"));
        }
        Ok(self)
    }

    /// What limits call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where its numbers stand.
    pub fn places(&self) -> &[MeterPlace] {
        &self.places
    }

    /// Where answers name their model; the first that is read counts.
    pub fn model(&self) -> &[Steps] {
        &self.model
    }

    /// The meter that counts these units too.
    pub fn part_of(&self) -> Option<&str> {
        self.part_of.as_deref()
    }

    /// How many parts its sum has.
    pub const fn parts(&self) -> usize {
        self.parts
    }

    /// Whether it reads the events of a `text/event-stream`, and the last value of each part counts.
    pub const fn streams(&self) -> bool {
        self.streams
    }
}

/// The steps of a pointer.
fn steps(pointer: &str) -> Option<Steps> {
    let rest = pointer.strip_prefix('/').filter(|rest| !rest.is_empty() && !rest.contains(['*', '\0']))?;
    let tilde = rest.replace("~0", "").replace("~1", "").contains('~');
    (!tilde).then(|| rest.split('/').map(|step| step.replace("~1", "/").replace("~0", "~").into()).collect())
}

/// A meter and the requests whose answers have it.
#[derive(Debug)]
pub(in crate::policy) struct Metered {
    pub(in crate::policy) on: Rule,
    pub(in crate::policy) meter: Arc<Meter>,
}

impl Service {
    /// The names of its meters, which limits may count.
    pub(in crate::policy) fn meter_names(&self) -> impl Iterator<Item = &str> {
        self.meters.iter().map(|metered| metered.meter.name())
    }

    /// All of its meters.
    pub(in crate::policy) fn meters(&self) -> impl Iterator<Item = &Arc<Meter>> {
        self.meters.iter().map(|metered| &metered.meter)
    }

    /// Those that the answer to this request has. Read widely, as what takes away.
    pub(in crate::policy) fn meters_of(&self, call: &Call<'_>) -> Vec<Arc<Meter>> {
        self.meters.iter().filter(|metered| metered.on.takes(call)).map(|metered| Arc::clone(&metered.meter)).collect()
    }
}

/// Reads every `[meter.NAME]`.
pub(in crate::policy) fn read_meters(file: &mut Table<'_>, names: &Names<'_>) -> Vec<Metered> {
    let read = file.named("meter").into_iter().filter_map(|(name, table)| read_meter(&name, table, names));
    let (meters, parts): (Vec<Metered>, Vec<Option<Span>>) = read.unzip();
    for (metered, span) in meters.iter().zip(parts) {
        let (Some(span), Some(whole)) = (span, metered.meter.part_of()) else { continue };
        let others = || meters.iter().map(|other| other.meter.name()).filter(|name| *name != metered.meter.name());
        if others().all(|other| other != whole) {
            let known: Vec<&str> = others().collect();
            file.source().fault(
                span,
                format!("there is no other meter `{}`", whole.escape_debug()),
                expected(whole, &known),
            );
        } else if is_part_of_itself(&metered.meter, &meters) {
            file.source().fault(
                span,
                format!("`{}` is a part of itself", metered.meter.name()),
                "remove one `part_of`",
            );
        }
    }
    meters
}

fn is_part_of_itself(meter: &Meter, all: &[Metered]) -> bool {
    let mut whole = meter.part_of();
    for _ in all {
        let Some(name) = whole else { return false };
        whole = all.iter().find(|other| other.meter.name() == name).and_then(|other| other.meter.part_of());
    }
    whole.is_some()
}

fn read_meter(name: &At<&str>, mut table: Table<'_>, names: &Names<'_>) -> Option<(Metered, Option<Span>)> {
    let source = table.source();
    if TAKEN.contains(&name.value) {
        let message = format!("limits count `{}` without a meter", name.value);
        source.fault(name.span.clone(), message, "give the meter another name, such as `tokens`");
    }
    let on = table.table("on").map(|on| read_rule(on, names, true));
    if on.is_none() && !table.has("on") {
        let fix = "add `on = { method = \"POST\", path = \"/v1/chat/completions\" }`";
        table.fault(format!("`[meter.{}]` has no `on`", name.value), fix);
    }
    let texts = table.texts("json").unwrap_or_default();
    let wrong: Vec<&At<&str>> = texts.iter().filter(|text| Meter::new("", &[text.value], false).is_err()).collect();
    for text in &wrong {
        let message = format!("`{}` is no JSON pointer to one value", text.value.escape_debug());
        source.fault(text.span.clone(), message, "write it like `/usage/total_tokens`, or `/a/b or /c/d`");
    }
    let streams = table.choice("sse", &[("last", ())]).is_some();
    let parts: Vec<&str> = texts.iter().map(|text| text.value).collect();
    let meter = Meter::new(name.value, &parts, streams);
    if let (Err(why), true) = (&meter, wrong.is_empty()) {
        table.fault(why, "add `json = [\"/usage/total_tokens\"]`");
    }
    let model = table.text("model");
    let part_of = table.text("part_of");
    table.finish();
    let mut meter = meter.ok()?;
    if let Some(model) = model {
        match meter.clone().with_model(model.value) {
            Ok(with_model) => meter = with_model,
            Err(why) => source.fault(model.span, why, "write it like `/model`, or `/model or /response/model`"),
        }
    }
    meter.part_of = part_of.as_ref().map(|whole| whole.value.into());
    Some((Metered { on: on?, meter: Arc::new(meter) }, part_of.map(|whole| whole.span)))
}
