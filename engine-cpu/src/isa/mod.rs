//! Instruction sets: one trait of 16-lane operations, one implementation per set, one place that picks.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod math;
mod philox;
mod portable;

pub(crate) use math::{exp, ln};
pub(crate) use philox::{philox_lanes, uniform_lanes};

use crate::lanes::{LANES, Lanes};

/// Lanes of a register value.
pub(crate) const WIDTH: usize = 16;

/// How many sums a product kernel keeps in registers at once: outputs by halves of a block. With its factors a tile must fit into the
/// registers of the set, or sums are spilled to memory in the innermost loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tile {
    /// 16 of 32 registers.
    EightByTwo,
    /// 12 of 16 registers, where a half takes two; two hold the other factor, one the weight.
    SixByOne,
    /// What any processor has.
    TwoByTwo,
}

/// Operations on 16 single precision numbers or 16 words. Every method is a handful of instructions and must be inlined into
/// the function that [`InstructionSet::dispatch`] compiles for the set.
pub(crate) trait Isa: Copy + Send + Sync + 'static {
    /// 16 single precision numbers.
    type V: Copy;
    /// 16 words.
    type U: Copy;
    /// The sums that product kernels keep in registers.
    const TILE: Tile;

    fn splat(x: f32) -> Self::V;
    fn load(from: &[f32; WIDTH]) -> Self::V;
    fn store(v: Self::V, to: &mut [f32; WIDTH]);
    fn add(a: Self::V, b: Self::V) -> Self::V;
    fn sub(a: Self::V, b: Self::V) -> Self::V;
    fn mul(a: Self::V, b: Self::V) -> Self::V;
    fn div(a: Self::V, b: Self::V) -> Self::V;
    fn max(a: Self::V, b: Self::V) -> Self::V;
    fn sqrt(a: Self::V) -> Self::V;
    /// `a * b + c`, fused where the set fuses.
    fn mul_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// Nearest integers, ties to even, for numbers within ±2^22.
    fn round(a: Self::V) -> Self::V;
    /// `x` where `mask > 0`, else 0.
    fn where_positive(mask: Self::V, x: Self::V) -> Self::V;
    /// Counts 1 where `a <= b`, added to `count`.
    fn count_le(a: Self::V, b: Self::V, count: Self::U) -> Self::U;

    /// Transposes 16 registers: lane j of register i becomes lane i of register j.
    fn transpose(rows: &mut [Self::V; WIDTH]);

    fn splat_u(x: u32) -> Self::U;
    fn load_u(from: &[u32; WIDTH]) -> Self::U;
    fn store_u(v: Self::U, to: &mut [u32; WIDTH]);
    fn xor_u(a: Self::U, b: Self::U) -> Self::U;
    /// High and low words of the 64-bit products.
    fn mul_wide(a: Self::U, b: Self::U) -> (Self::U, Self::U);
    /// `x` where byte `byte` of each word is at least `threshold`, else 0.
    fn keep(words: Self::U, byte: u32, threshold: u32, x: Self::V) -> Self::V;
    /// `2^n` for integers n in -126..=127 held as numbers.
    fn exp2_int(n: Self::V) -> Self::V;
    /// Exponent (as a number) and mantissa in [0.5, 1) of positive normal numbers.
    fn split_exponent(x: Self::V) -> (Self::V, Self::V);
}

/// [`Isa::transpose`] through memory.
#[inline(always)]
fn transpose_in_memory<I: Isa>(rows: &mut [I::V; WIDTH]) {
    let mut from = [[0.0; WIDTH]; WIDTH];
    for i in 0..WIDTH {
        I::store(rows[i], &mut from[i]);
    }
    for j in 0..WIDTH {
        let mut column = [0.0; WIDTH];
        for i in 0..WIDTH {
            column[i] = from[i][j];
        }
        rows[j] = I::load(&column);
    }
}

/// A kernel body, generic over the instruction set. `run` must be `#[inline(always)]`.
pub(crate) trait Kernel {
    type Output;
    fn run<I: Isa>(self) -> Self::Output;
}

/// An instruction set of this processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InstructionSet {
    /// Plain Rust; whatever the target baseline offers.
    Portable,
    /// AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512 F, BW, DQ and VL.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl InstructionSet {
    /// Sets that there are kernels for on this architecture, whether this processor has them or not.
    pub const ALL: &[Self] = &[
        Self::Portable,
        #[cfg(target_arch = "x86_64")]
        Self::Avx2,
        #[cfg(target_arch = "x86_64")]
        Self::Avx512,
    ];

    /// Sets that this processor has, the best last.
    pub fn available() -> Vec<Self> {
        #[allow(unused_mut)]
        let mut sets = vec![Self::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                sets.push(Self::Avx2);
                let wide = is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl");
                if wide {
                    sets.push(Self::Avx512);
                }
            }
        }
        sets
    }

    /// The best set of this processor.
    pub fn best() -> Self {
        Self::available().last().copied().unwrap_or(Self::Portable)
    }

    /// Whether this processor has the set.
    pub fn is_available(self) -> bool {
        Self::available().contains(&self)
    }

    /// Name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => "AVX2",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => "AVX-512",
        }
    }

    /// The set that users call by this name: `portable`, `avx2` or `avx512`, in any case; `None` for any other text.
    pub fn named(text: &str) -> Option<Self> {
        let is_meant = |set: &Self| set.name().replace('-', "").eq_ignore_ascii_case(text);
        Self::ALL.iter().copied().find(is_meant)
    }

    /// Runs a kernel compiled for this set. [`crate::CpuBackend`] only holds sets that are available.
    #[inline]
    pub(crate) fn dispatch<K: Kernel>(self, kernel: K) -> K::Output {
        match self {
            Self::Portable => kernel.run::<portable::Portable>(),
            // SAFETY: `CpuBackend::new` refuses a set that `is_available` denies, and nothing else makes kernels run, so the
            // processor has the features that the function is compiled for.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { avx2::run(kernel) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { avx512::run(kernel) },
        }
    }
}

/// Half `h` (0 or 1) of a row of lanes.
#[inline(always)]
pub(crate) fn half_u(lanes: &[u32; LANES], h: usize) -> &[u32; WIDTH] {
    let (a, b) = lanes.split_at(WIDTH);
    let part: Result<&[u32; WIDTH], _> = if h == 0 { a.try_into() } else { b.try_into() };
    match part {
        Ok(part) => part,
        Err(_) => unreachable!("a half is {WIDTH} lanes"),
    }
}

/// Half `h` of a block of rows.
#[inline(always)]
pub(crate) fn half(lanes: &Lanes, h: usize) -> &[f32; WIDTH] {
    let (a, b) = lanes.0.split_at(WIDTH);
    let part: Result<&[f32; WIDTH], _> = if h == 0 { a.try_into() } else { b.try_into() };
    match part {
        Ok(part) => part,
        Err(_) => unreachable!("a half is {WIDTH} lanes"),
    }
}

/// Half `h` (0 or 1) of a row of lanes, to write.
#[inline(always)]
pub(crate) fn half_mut(lanes: &mut Lanes, h: usize) -> &mut [f32; WIDTH] {
    let (a, b) = lanes.0.split_at_mut(WIDTH);
    let part: Result<&mut [f32; WIDTH], _> = if h == 0 { a.try_into() } else { b.try_into() };
    match part {
        Ok(part) => part,
        Err(_) => unreachable!("a half is {WIDTH} lanes"),
    }
}

#[cfg(test)]
mod tests;
