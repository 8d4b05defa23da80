//! The texts of the kernels, which are part of this library, and the program that they make together.

/// Text of the kernels' files, by the name under which they include each other.
pub const FILES: &[(&str, &str)] = &[
    ("common.cuh", include_str!("../kernels/common.cuh")),
    ("random.cuh", include_str!("../kernels/random.cuh")),
    ("tensor_cores.cuh", include_str!("../kernels/tensor_cores.cuh")),
    (
        "linear_product.cuh",
        include_str!("../kernels/linear_product.cuh"),
    ),
    ("activation.cu", include_str!("../kernels/activation.cu")),
    ("batch.cu", include_str!("../kernels/batch.cu")),
    ("embedding.cu", include_str!("../kernels/embedding.cu")),
    ("linear_grouped.cu", include_str!("../kernels/linear_grouped.cu")),
    ("linear_ordered.cu", include_str!("../kernels/linear_ordered.cu")),
    ("optimizer.cu", include_str!("../kernels/optimizer.cu")),
    ("privacy.cu", include_str!("../kernels/privacy.cu")),
    ("reduce.cu", include_str!("../kernels/reduce.cu")),
    ("sampling.cu", include_str!("../kernels/sampling.cu")),
    (
        "sampling_rules.cuh",
        include_str!("../kernels/sampling_rules.cuh"),
    ),
    ("softmax.cu", include_str!("../kernels/softmax.cu")),
];

/// What is defined where wide products are to run on tensor cores.
pub const TENSOR_CORES: &str = "-DTENSOR_CORES";

/// The program of some files: it includes every `.cu` file among them.
#[must_use]
pub fn program(files: &[(&str, &str)]) -> String {
    let sources = files.iter().filter(|(name, _)| name.ends_with(".cu"));
    sources
        .map(|(name, _)| format!("#include \"{name}\"\n"))
        .collect()
}

/// Names of all kernels in some files, in the order in which they stand there.
#[must_use]
pub fn kernel_names<'a>(files: &[(&'a str, &'a str)]) -> Vec<&'a str> {
    let lines = files.iter().flat_map(|(_, text)| text.lines());
    let declared = lines.filter_map(|line| line.strip_prefix("KERNEL("));
    declared
        .filter_map(|rest| rest.split(',').next())
        .map(str::trim)
        .collect()
}
