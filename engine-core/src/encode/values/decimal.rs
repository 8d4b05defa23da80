//! Numbers as decimals: the shortest ones that read back as the same float.

/// Highest power of ten that is analysed.
pub(crate) const HIGHEST: i32 = 18;
/// Lowest power of ten that is ever analysed.
pub(crate) const LOWEST: i32 = -20;

/// `mantissa * 10^exponent`, without its sign; the mantissa does not end in 0 unless it is 0 (then so is the
/// exponent).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decimal {
    pub(crate) mantissa: u64,
    pub(crate) exponent: i32,
}

/// The powers of ten that a `u64` holds.
pub(crate) const POWERS: [u64; 20] = {
    let mut powers = [1; 20];
    let mut i = 1;
    while i < 20 {
        powers[i] = powers[i - 1] * 10;
        i += 1;
    }
    powers
};

/// The double nearest to `10^exponent`.
pub(crate) fn power_of_ten(exponent: i32) -> f64 {
    const NEGATIVE: [f64; 21] = [
        1e0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-11, 1e-12, 1e-13, 1e-14, 1e-15,
        1e-16, 1e-17, 1e-18, 1e-19, 1e-20,
    ];
    match exponent {
        0..=19 => POWERS[exponent as usize] as f64,
        -20..0 => NEGATIVE[-exponent as usize],
        _ => 10f64.powi(exponent),
    }
}

impl Decimal {
    fn stripped(mut mantissa: u64, mut exponent: i32) -> Self {
        if mantissa == 0 {
            return Self {
                mantissa: 0,
                exponent: 0,
            };
        }
        while mantissa.is_multiple_of(10) {
            mantissa /= 10;
            exponent += 1;
        }
        Self { mantissa, exponent }
    }

    /// A whole number without its sign. Beyond 2^53 it is what the nearest float is written as: mostlyai-engine's
    /// digits come from floats.
    pub(crate) fn of_int(value: i64) -> Self {
        match value.unsigned_abs() {
            exact @ 0..=0x20_0000_0000_0000 => Self::stripped(exact, 0),
            large => Self::shortest(large as f64),
        }
    }

    /// The shortest decimal that reads back as `value`, which must be finite, without its sign.
    pub(crate) fn shortest(value: f64) -> Self {
        let value = value.abs();
        // With at most 15 digits there is one decimal per float, so a decimal that reads back is the shortest
        // one.
        for (decimals, &scale) in (0..).zip(&POWERS[..7]) {
            let scale = scale as f64;
            let scaled = (value * scale).round();
            if scaled >= 1e15 {
                break;
            }
            if scaled / scale == value {
                return Self::stripped(scaled as u64, -decimals);
            }
        }
        Self::read(&format!("{value:e}"))
    }

    /// The shortest decimal that reads back as `value`, which must be finite, without its sign.
    pub(crate) fn shortest_f32(value: f32) -> Self {
        Self::read(&format!("{:e}", value.abs()))
    }

    /// Reads what Rust writes for `{:e}`: `1.25e-7`.
    fn read(text: &str) -> Self {
        let (digits, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let decimals = digits.split_once('.').map_or(0, |(_, d)| d.len());
        let mantissa = digits
            .bytes()
            .filter(u8::is_ascii_digit)
            .fold(0, |m, b| m * 10 + u64::from(b - b'0'));
        let exponent: i32 = exponent.parse().unwrap_or(0);
        Self::stripped(mantissa, exponent - decimals as i32)
    }

    /// The decimal whose digits are encoded: the shortest one, or when that has more than 20 decimals, the
    /// value rounded to 20.
    pub(crate) fn for_digits(value: f64) -> Self {
        let shortest = Self::shortest(value);
        if shortest.exponent >= LOWEST {
            return shortest;
        }
        let text = format!("{:.20}", value.abs());
        let mantissa = text.bytes().filter(u8::is_ascii_digit);
        Self::stripped(mantissa.fold(0, |m, b| m * 10 + u64::from(b - b'0')), LOWEST)
    }

    /// Calls `f` with the power of ten and the digit of every digit, from low to high; the others are 0.
    pub(crate) fn each_digit(self, mut f: impl FnMut(i32, u8)) {
        let (mut rest, mut exponent) = (self.mantissa, self.exponent);
        while rest > 0 {
            f(exponent, (rest % 10) as u8);
            rest /= 10;
            exponent += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(mantissa: u64, exponent: i32) -> Decimal {
        Decimal { mantissa, exponent }
    }

    #[test]
    fn decimals_are_the_shortest() {
        assert_eq!(Decimal::shortest(0.1 + 0.2), decimal(30_000_000_000_000_004, -17));
        assert_eq!(Decimal::shortest(-12.5), decimal(125, -1));
        assert_eq!(Decimal::shortest(1e23), decimal(1, 23));
        assert_eq!(Decimal::shortest(0.0), decimal(0, 0));
        assert_eq!(Decimal::shortest(9.2e18), decimal(92, 17));
        assert_eq!(Decimal::shortest(1.5e-12), decimal(15, -13));
        assert_eq!(Decimal::shortest_f32(0.1), decimal(1, -1));
        assert_eq!(Decimal::of_int(i64::MIN), decimal(9_223_372_036_854_776, 3));
        assert_eq!(Decimal::of_int(1 << 53), decimal(1 << 53, 0));
        assert_eq!(Decimal::of_int(-1200), decimal(12, 2));
    }

    #[test]
    fn beyond_twenty_decimals_the_value_is_rounded() {
        assert_eq!(Decimal::for_digits(1e-22), decimal(0, 0));
        assert_eq!(
            Decimal::for_digits(1.234_567_890_123_456_7e-5),
            decimal(1_234_567_890_123_457, -20)
        );
    }

    proptest::proptest! {
        #[test]
        fn the_quick_way_agrees_with_the_formatter(
            mantissa in 0u64..1_000_000_000_000,
            decimals in 0usize..8,
            sign: bool,
        ) {
            let value: f64 = format!("{}{mantissa}e-{decimals}", if sign { "-" } else { "" }).parse().unwrap();
            proptest::prop_assert_eq!(Decimal::shortest(value), Decimal::read(&format!("{:e}", value.abs())));
        }
    }
}
