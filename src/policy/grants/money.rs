//! Amounts of money: whole millionths of a currency's unit, never a float.

use std::{fmt, str::FromStr};

/// Millionths in one unit of a currency.
const UNIT: u64 = 1_000_000;

/// How many decimals an amount may have.
const DECIMALS: usize = 6;

/// An amount, exact to a millionth of a unit. The currency is the user's and is only shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Money(u64);

/// A text that is no amount; the writer's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no amount of money; expected digits and at most six decimals, such as \"2.50\"")]
pub struct MoneyError(String);

impl Money {
    /// So many millionths of a unit.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// In millionths of a unit.
    pub const fn micros(self) -> u64 {
        self.0
    }
}

impl FromStr for Money {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let wrong = || MoneyError(text.chars().take(60).flat_map(char::escape_debug).collect());
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        if !digits(whole) || !digits(part) || part.len() > DECIMALS {
            return Err(wrong());
        }
        let (whole, part) = (whole.parse::<u64>(), format!("{part:0<DECIMALS$}").parse::<u64>());
        let (whole, part) = (whole.map_err(|_| wrong())?, part.map_err(|_| wrong())?);
        whole.checked_mul(UNIT).and_then(|micros| micros.checked_add(part)).map(Self).ok_or_else(wrong)
    }
}

impl fmt::Display for Money {
    /// With two decimals, or as many more as are not zero.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = format!("{:0DECIMALS$}", self.0 % UNIT);
        let part = part.trim_end_matches('0');
        write!(f, "{}.{part:0<2}", self.0 / UNIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact_to_a_millionth() {
        for (text, micros, shown) in [
            ("5", 5_000_000, "5.00"),
            ("5.00", 5_000_000, "5.00"),
            ("0.1", 100_000, "0.10"),
            ("2.50", 2_500_000, "2.50"),
            ("0.000001", 1, "0.000001"),
            ("0", 0, "0.00"),
            ("12.3456", 12_345_600, "12.3456"),
            ("18446744073709.551615", u64::MAX, "18446744073709.551615"),
        ] {
            let money: Money = text.parse().unwrap();
            assert_eq!((money.micros(), money.to_string().as_str()), (micros, shown), "{text}");
        }
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in ["", ".", "5.", ".5", "-1", "+1", "1e3", "1,50", "1.0000001", "18446744073709.551616", " 1", "$5"] {
            assert!(text.parse::<Money>().is_err(), "{text}");
        }
        assert!(Money::from_str("\u{1b}[31m").unwrap_err().to_string().contains("\\u{1b}"));
    }
}
