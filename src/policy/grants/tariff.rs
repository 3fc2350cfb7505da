//! What the answers of a service cost by the user's own prices.
//!
//! Invariants: amounts are whole millionths, rounded up once for each answer; what cannot be told is charged as the
//! dearest that it could be.

use std::sync::Arc;

use super::money::Money;
use crate::policy::{rules::Glob, services::Meter};

/// Prices name a million units of a meter.
const MILLION: u128 = 1_000_000;

/// All prices of one service.
#[derive(Debug)]
pub struct Tariff {
    pub(in crate::policy) currency: Arc<str>,
    pub(in crate::policy) meters: Vec<Arc<Meter>>,
    /// At least one.
    pub(in crate::policy) prices: Vec<Price>,
}

/// One `[[price]]`.
#[derive(Debug)]
pub struct Price {
    /// The models that it is for; any without a list.
    pub(in crate::policy) models: Option<Vec<Glob>>,
    /// What a million units of a meter cost.
    pub(in crate::policy) units: Vec<(Arc<str>, Money)>,
    /// What each request costs besides.
    pub(in crate::policy) request: Option<Money>,
    pub(in crate::policy) place: Box<str>,
}

/// What an answer says of its own use.
#[derive(Clone, Debug, Default)]
pub struct Usage {
    /// The model that made it, if it says so; the service's own word, so that it is compared and never shown.
    pub model: Option<Box<str>>,
    /// What each meter that is for the request read; `None` where the answer does not say.
    pub amounts: Vec<(Arc<Meter>, Option<u64>)>,
}

/// What one answer costs, and how that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cost {
    /// The amount.
    pub money: Money,
    /// In words: `0.0125 USD at gpt-4o-*`.
    pub words: String,
}

/// Units and their cost, in millionths of a millionth.
#[derive(Clone, Copy, Default)]
struct Share {
    cost: u128,
    units: u64,
    dearest: u64,
}

impl Usage {
    fn amount(&self, meter: &Meter) -> Option<u64> {
        self.amounts.iter().find(|(other, _)| other.name() == meter.name()).and_then(|(_, amount)| *amount)
    }

    fn is_stated(&self) -> bool {
        self.amounts.iter().any(|(_, amount)| amount.is_some())
    }
}

impl Tariff {
    /// The word that is shown beside amounts; empty when the prices name none.
    pub fn currency(&self) -> &str {
        &self.currency
    }

    /// Its prices, in the order of the files.
    pub fn prices(&self) -> impl Iterator<Item = &Price> {
        self.prices.iter()
    }

    /// What an answer costs. The price is that of its model, of several the most literal; of a model that is not said or
    /// that no price is for, whichever price makes it the dearest.
    pub fn cost(&self, usage: &Usage) -> Cost {
        let fitting = usage.model.as_deref().and_then(|model| self.price_of(model));
        let (money, at) = fitting.map_or_else(|| self.dearest(usage), |price| (self.cost_at(price, usage), price.at()));
        let currency = if self.currency.is_empty() { String::new() } else { format!(" {}", self.currency) };
        let unstated = if usage.is_stated() || self.meters.is_empty() { "" } else { ", usage unknown" };
        Cost { money, words: format!("{money}{currency}{at}{unstated}") }
    }

    /// Of a model that is not known, and why that is so in words.
    fn dearest(&self, usage: &Usage) -> (Money, String) {
        let dearest = self.prices.iter().map(|price| self.cost_at(price, usage)).max().unwrap_or_default();
        let is_sure = matches!(&*self.prices, [Price { models: None, .. }]);
        let why = if usage.model.is_some() { "no price is for the model" } else { "no model is said" };
        (dearest, if is_sure { String::new() } else { format!(" at the dearest price, as {why}") })
    }

    fn price_of(&self, model: &str) -> Option<&Price> {
        let fit = |price: &Price| price.literal_for(model);
        let fitting = self.prices.iter().filter_map(|price| Some((fit(price)?, price)));
        fitting.max_by_key(|(literal, _)| *literal).map(|(_, price)| price)
    }

    fn cost_at(&self, price: &Price, usage: &Usage) -> Money {
        let roots = self.meters.iter().filter(|meter| meter.part_of().is_none());
        let cost = roots.fold(0_u128, |sum, meter| sum.saturating_add(self.share(price, usage, meter).cost));
        let request = u128::from(price.request.unwrap_or_default().micros());
        let micros = cost.div_ceil(MILLION).saturating_add(request);
        Money::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    /// What the units of a meter and of its parts cost. Units beyond its parts are charged at its own price; without one
    /// of its own, at the dearest of its parts.
    fn share(&self, price: &Price, usage: &Usage, meter: &Meter) -> Share {
        let parts = self.meters.iter().filter(|part| part.part_of() == Some(meter.name()));
        let inner = parts.map(|part| self.share(price, usage, part)).fold(Share::default(), Share::and);
        let own = price.unit(meter.name());
        if own.is_none() && !price.names_part_of(&self.meters, meter) {
            return Share::default(); // charged as a part of whatever it is in
        }
        let rate = own.map_or(inner.dearest, Money::micros);
        let units = usage.amount(meter).unwrap_or(0).max(inner.units);
        let beyond = u128::from(units - inner.units).saturating_mul(u128::from(rate));
        Share { cost: inner.cost.saturating_add(beyond), units, dearest: rate.max(inner.dearest) }
    }
}

impl Share {
    fn and(self, other: Self) -> Self {
        Self {
            cost: self.cost.saturating_add(other.cost),
            units: self.units.saturating_add(other.units),
            dearest: self.dearest.max(other.dearest),
        }
    }
}

impl Price {
    /// The models that it is for, in words.
    pub fn models(&self) -> String {
        let listed = |globs: &Vec<Glob>| globs.iter().map(Glob::as_str).collect::<Vec<_>>().join(", ");
        self.models.as_ref().map_or_else(|| "any model".to_owned(), listed)
    }

    /// The same for a record; nothing of the one that is for any.
    fn at(&self) -> String {
        if self.models.is_some() { format!(" at {}", self.models()) } else { String::new() }
    }

    /// What it names and what that costs, the unit of a meter being a million.
    pub fn units(&self) -> impl Iterator<Item = (&str, Money)> {
        let units = self.units.iter().map(|(name, money)| (&**name, *money));
        units.chain(self.request.map(|money| ("request", money)))
    }

    /// Where it is written: `file:line`.
    pub fn place(&self) -> &str {
        &self.place
    }

    fn unit(&self, meter: &str) -> Option<Money> {
        self.units.iter().find(|(name, _)| **name == *meter).map(|(_, money)| *money)
    }

    fn names_part_of(&self, meters: &[Arc<Meter>], meter: &Meter) -> bool {
        let mut parts = meters.iter().filter(|part| part.part_of() == Some(meter.name()));
        parts.any(|part| self.unit(part.name()).is_some() || self.names_part_of(meters, part))
    }

    /// The meters that it leaves without a price, so that their use would cost nothing. Each that is no part of another
    /// needs one, or where it has several parts, each of these.
    pub(in crate::policy) fn unnamed<'m>(&self, meters: &'m [Arc<Meter>]) -> Vec<&'m str> {
        let roots = meters.iter().filter(|meter| meter.part_of().is_none());
        let wanted = roots.filter(|meter| self.unit(meter.name()).is_none()).flat_map(|root| {
            let parts: Vec<&str> =
                meters.iter().filter(|part| part.part_of() == Some(root.name())).map(|part| part.name()).collect();
            if parts.len() > 1 { parts } else { vec![root.name()] }
        });
        wanted.filter(|name| self.unit(name).is_none()).collect()
    }

    /// How literal the glob is by which it is for this model; `None` when it is not.
    fn literal_for(&self, model: &str) -> Option<Literal> {
        match &self.models {
            None => Some(Literal::default()),
            Some(globs) => globs.iter().filter(|glob| glob.matches(model)).map(Literal::of).max(),
        }
    }

    /// Why some model could be of both alike, in words; `None` when the more literal one always decides.
    pub(in crate::policy) fn tie(&self, other: &Self) -> Option<String> {
        match (&self.models, &other.models) {
            (None, None) => Some("both are for any model".to_owned()),
            (Some(ours), Some(theirs)) => ours.iter().find_map(|one| {
                let same = |two: &&Glob| Literal::of(one) == Literal::of(two) && !one.is_disjoint(two);
                let two = theirs.iter().find(same)?;
                Some(format!("`{}` and `{}` are equally literal and fit the same model", one.as_str(), two.as_str()))
            }),
            _ => None,
        }
    }
}

/// How literal a glob is: one without a star first, then by the number of its other characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Literal {
    is_listed: bool,
    is_exact: bool,
    length: usize,
}

impl Literal {
    fn of(glob: &Glob) -> Self {
        let text = glob.as_str();
        let length = text.bytes().filter(|byte| *byte != b'*').count();
        Self { is_listed: true, is_exact: length == text.len(), length }
    }
}
