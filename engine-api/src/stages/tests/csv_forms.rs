//! CSV keeps how values were written.

use super::*;

/// Repeats the lines below the header, so that no value is rare.
fn often(text: &str) -> String {
    let (header, lines) = text.split_once('\n').unwrap();
    format!("{header}\n{}", lines.repeat(30))
}

/// Few different values go through the stages under protection, and the text is the same but for the order of its lines.
#[track_caller]
fn assert_kept(text: &str) {
    let text = often(text);
    assert_eq!(Trip::default().csv(&text), sorted(&text));
}

#[test]
fn decimals_keep_their_zeros() {
    assert_kept("price,share\n12.50,0.5\n7.00,1.25\n0.10,12\n");
    assert_kept("x\n.5\n.25\n-.75\n");
}

#[test]
fn exponents_are_kept() {
    assert_kept("x\n1e-05\n2.5e-07\n0.5\n");
    assert_kept("x\n1.50E+10\n2.25E-08\n");
}

#[test]
fn large_and_small_numbers_are_kept() {
    assert_kept("x\n1e308\n1.5\n-1e308\n");
    assert_kept("x\n0.30000000000000004\n0.1\n0.2\n");
    assert_kept("n\n9223372036854775807\n-9223372036854775808\n12\n");
}

#[test]
fn twenty_digits_and_minus_zero_are_kept_as_they_stand() {
    assert_kept("n\n12345678901234567890\n98765432109876543210\n");
}

#[test]
fn codes_with_leading_zeros_stay_text() {
    assert_kept("zip,city\n01067,Dresden\n80331,München\n00184,Roma\n");
}

#[test]
fn dates_and_times_keep_their_form() {
    assert_kept("d\n2024-02-29\n0001-01-01\n9999-12-31\n");
    assert_kept("t\n2024-02-29 10:30\n2024-03-01 11:45\n");
    assert_kept("t\n2024-02-29T10:30:05.120Z\n2024-03-01T00:00:00.000Z\n");
    assert_kept("t\n2024-02-29 10:30:00+02:00\n2024-03-01 23:00:00+02:00\n");
}

#[test]
fn booleans_keep_their_words() {
    assert_kept("a,b,c,d\ntrue,True,TRUE,yes\nfalse,False,FALSE,no\n,True,,yes\n");
}

#[test]
fn quotes_nulls_and_delimiters_are_kept() {
    assert_kept("\"a\";\"b\"\n\"x\";\"1\"\n\"y;z\";\"2\"\n\"say \"\"hi\"\"\";\"3\"\n");
    assert_kept("a,b\n,1\nx,\n,2\n");
}
