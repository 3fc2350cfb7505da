//! `secrets limits`: how much of each limit is used, what is left, and when the next request may pass.

use clap::Args;
use serde_json::json;

use crate::cli::{context::Context, envelope::NextAction, printer::Outcome, report::Report, table::Table};
use crate::{
    base::SecretName,
    control::{LimitEntry, ListLimits},
    policy::Money,
};

#[derive(Args, Debug)]
pub(in crate::cli) struct Arguments {
    /// Only limits that count requests with this secret
    #[arg(long, value_name = "NAME")]
    secret: Option<SecretName>,
}

pub(super) async fn run(context: &mut Context, arguments: &Arguments) -> Result<Outcome, Report> {
    let secret = arguments.secret.clone();
    let limits = context.call(ListLimits { secret: secret.clone() }, secret.as_ref()).await?.limits;
    let mut table = Table::new(&["secret", "limit", "of", "used", "left", "next"]);
    for limit in &limits {
        table.row([
            limit.secret.as_str(),
            &limit.limit,
            &limit.owner,
            &amount(limit, limit.used),
            &amount(limit, limit.left),
            &next(limit.next_in_s),
        ]);
    }
    let human = table.render("no limits; `limit` in a grant or a `[[budget]]` sets one");
    let actions = vec![NextAction::new("secrets policy list", "See the grants that they are of")];
    Ok(Outcome::Shown { result: json!({"count": limits.len(), "limits": limits}), human, next: actions })
}

fn amount(limit: &LimitEntry, amount: u64) -> String {
    if limit.measure != "money" {
        return amount.to_string();
    }
    let money = Money::from_micros(amount).to_string();
    limit.currency.as_ref().map_or_else(|| money.clone(), |currency| format!("{money} {currency}"))
}

fn next(seconds: Option<u64>) -> String {
    match seconds {
        Some(0) => "now".to_owned(),
        Some(seconds) => format!("in {seconds} s"),
        None => "when one has ended".to_owned(),
    }
}
