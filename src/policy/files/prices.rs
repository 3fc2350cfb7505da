//! Reads files of kind `prices`: what the meters of a service cost, by the user's own word.
//!
//! Invariant: of two prices that are for one model, the more literal decides; two that could tie are a fault.

use std::{collections::HashMap, sync::Arc};

use super::{
    policy::{Services, read_service_id},
    read::{At, Source, Span, Table, expected},
    read_files::head,
};
use crate::{
    base::ServiceId,
    policy::{
        Fault,
        grants::{Money, Price, Tariff},
        rules::Glob,
        services::{Meter, Service},
    },
};

/// The prices of each service that has any.
pub(in crate::policy) type Tariffs = HashMap<ServiceId, Arc<Tariff>>;

/// A price and where it stands.
struct ReadPrice {
    service: Arc<Service>,
    price: Price,
    file: usize,
    span: Span,
}

/// The longest word for a currency.
const MAX_CURRENCY: usize = 16;

/// Reads files by name and text; they are judged together.
pub(in crate::policy) fn read_prices(files: &[(&str, &str)], services: &Services, faults: &mut Vec<Fault>) -> Tariffs {
    let sources: Vec<Source> = files.iter().map(|(file, text)| Source::new(file, text)).collect();
    let (mut read, mut currency): (Vec<ReadPrice>, Option<Arc<str>>) = (Vec::new(), None);
    for (at, (source, (_, text))) in sources.iter().zip(files).enumerate() {
        let table = source.parse(text);
        let mut root = source.root(&table);
        let _ = head(&mut root, &["prices"]);
        if let Some(named) = read_currency(&mut root) {
            match &currency {
                Some(other) if **other != *named.value => {
                    let message =
                        format!("the prices are in `{other}` elsewhere, and amounts of two currencies cannot be added");
                    source.fault(named.span, message, format!("write `currency = \"{other}\"`, and every price in it"));
                }
                _ => currency = Some(named.value.into()),
            }
        }
        let prices = root.tables("price").into_iter().filter_map(|table| read_price(table, services, at));
        read.extend(prices);
        root.finish();
    }
    find_ties(&sources, &read);
    faults.extend(sources.into_iter().flat_map(Source::into_faults));
    gather(read, &currency.unwrap_or_default())
}

fn read_currency<'a>(root: &mut Table<'a>) -> Option<At<&'a str>> {
    let source = root.source();
    let named = root.text("currency")?;
    let usable = (1..=MAX_CURRENCY).contains(&named.value.chars().count()) && !named.value.contains(char::is_control);
    if !usable {
        let message = format!("`currency` cannot be `{}`", named.value.escape_debug());
        source.fault(named.span.clone(), message, "expected a short word to show, such as `USD`");
    }
    usable.then_some(named)
}

fn read_price(mut table: Table<'_>, services: &Services, file: usize) -> Option<ReadPrice> {
    let source = table.source();
    let span = table.span();
    let service = read_service_id(&mut table, services);
    let models = table.texts("model");
    if models.as_ref().is_some_and(Vec::is_empty) {
        table.fault("the price is for no model", "leave `model` out: then it is for any");
    }
    let globs = |texts: Vec<At<&str>>| {
        texts.iter().filter_map(|text| source.parse_at::<Glob>(text)).map(|at| at.value).collect()
    };
    let models = models.map(globs);
    let service = service?;
    let meters: Vec<&str> = service.meter_names().collect();
    let (mut units, mut request) = (Vec::new(), None);
    for (name, value) in table.others() {
        if name.value != "request" && !meters.contains(&name.value) {
            let known: Vec<&str> = meters.iter().copied().chain(["request", "service", "model"]).collect();
            let message = format!("`{}` has no meter `{}` to price", service.id, name.value.escape_debug());
            source.fault(name.span, message, expected(name.value, &known));
            continue;
        }
        let Some(money) = read_money(source, name.value, &value) else { continue };
        if name.value == "request" { request = Some(money) } else { units.push((Arc::from(name.value), money)) }
    }
    let (line, _) = source.position(span.start);
    let price = Price { models, units, request, place: format!("{}:{line}", source.file()).into() };
    if !source.has_faults() {
        judge(&table, service, &price);
    }
    Some(ReadPrice { service: Arc::clone(service), price, file, span })
}

fn read_money(source: &Source, name: &str, value: &At<Option<&str>>) -> Option<Money> {
    let fix = "expected an amount with at most six decimals, such as `\"2.50\"`";
    let shown = value.value.unwrap_or("this").escape_debug();
    let money = value.value.and_then(|text| text.parse().ok());
    if money.is_none() {
        source.fault(value.span.clone(), format!("`{name}` cannot cost `{shown}`"), fix);
    }
    money
}

/// A price that leaves a meter out would make its use cost nothing.
fn judge(table: &Table<'_>, service: &Service, price: &Price) {
    let meters: Vec<Arc<Meter>> = service.meters().cloned().collect();
    let unnamed = price.unnamed(&meters);
    if let Some(first) = unnamed.first() {
        let message = format!("the price does not say what `{}` of `{}` cost", unnamed.join("`, `"), service.id);
        table.fault(message, format!("add `{first} = \"…\"`, the price of a million; `\"0\"` if they cost nothing"));
    }
    if meters.is_empty() && price.request.is_none() {
        let message = format!("the price says nothing: no answer of `{}` says what was used", service.id);
        table.fault(message, "add `request = \"0.01\"`, the price of each request");
    }
}

fn find_ties(sources: &[Source], read: &[ReadPrice]) {
    for (at, later) in read.iter().enumerate() {
        let mut earlier = read.iter().take(at).filter(|other| other.service.id == later.service.id);
        let tie = earlier.find_map(|other| Some((other, later.price.tie(&other.price)?)));
        let (Some((other, why)), Some(source)) = (tie, sources.get(later.file)) else { continue };
        let message = format!("this price of `{}` ties with the one at {}: {why}", later.service.id, other.price.place);
        source.fault(later.span.clone(), message, "make one `model` more literal, or name the models one by one");
    }
}

fn gather(read: Vec<ReadPrice>, currency: &Arc<str>) -> Tariffs {
    let mut of_service: HashMap<ServiceId, Tariff> = HashMap::new();
    for ReadPrice { service, price, .. } in read {
        let meters = || service.meters().cloned().collect();
        let empty = || Tariff { currency: Arc::clone(currency), meters: meters(), prices: Vec::new() };
        of_service.entry(service.id.clone()).or_insert_with(empty).prices.push(price);
    }
    of_service.into_iter().map(|(id, tariff)| (id, Arc::new(tariff))).collect()
}
