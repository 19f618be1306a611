//! Values as text for people.

mod classic;
pub(crate) mod json;
pub(crate) mod quote;
mod value;
mod xml;

pub use value::{Derivations, PrintErrors, PrintOptions};
pub use xml::XmlOptions;

/// An attribute name as a program writes it: in quotes when it is no identifier.
pub fn attribute_name(name: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len());
    quote::attr_name(name, &mut out);
    out
}

/// A double as the language prints it: six significant digits, as `%g` does.
pub(crate) fn float(f: f64) -> String {
    if f.is_nan() {
        return if f.is_sign_negative() { "-nan" } else { "nan" }.to_owned();
    }
    if f.is_infinite() {
        return if f < 0.0 { "-inf" } else { "inf" }.to_owned();
    }
    if f == 0.0 {
        return if f.is_sign_negative() { "-0" } else { "0" }.to_owned();
    }
    let scientific = format!("{f:.5e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        let digits = (5 - exponent).max(0) as usize;
        let fixed = format!("{f:.digits$}");
        return if fixed.contains('.') {
            fixed.trim_end_matches('0').trim_end_matches('.').to_owned()
        } else {
            fixed
        };
    }
    let mantissa = if mantissa.contains('.') {
        mantissa.trim_end_matches('0').trim_end_matches('.')
    } else {
        mantissa
    };
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}
