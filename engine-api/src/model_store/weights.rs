//! Weights as safetensors under the parameter names of mostlyai-engine.

use std::collections::HashMap;
use std::path::Path;

use bytemuck::cast_slice;
use engine_core::ir::ParamLayout;
use engine_core::remedy::Job;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensorError, SafeTensors};

use crate::EngineError;

/// Key of the metadata that calibrated weights carry.
const CALIBRATED: &str = "calibrated";

/// The parameters of an arena as a safetensors file, which says whether they are calibrated.
pub(crate) fn to_safetensors(
    layout: &ParamLayout,
    params: &[f32],
    calibrated: bool,
) -> Result<Vec<u8>, SafeTensorError> {
    let little_endian = little_endian(params);
    let mut tensors = Vec::with_capacity(layout.params().len());
    for param in layout.params() {
        let range = param.view.range();
        let bytes = &little_endian[4 * range.start..4 * range.end];
        tensors.push((
            param.name.as_str(),
            TensorView::new(Dtype::F32, param.shape.clone(), bytes)?,
        ));
    }
    let metadata = calibrated.then(|| HashMap::from([(CALIBRATED.to_owned(), "true".to_owned())]));
    safetensors::serialize(tensors, metadata)
}

/// Whether a safetensors file says that its weights are calibrated.
pub(crate) fn is_calibrated(bytes: &[u8]) -> bool {
    let metadata = SafeTensors::read_metadata(bytes).ok();
    let metadata = metadata.and_then(|(_, metadata)| metadata.metadata().clone());
    metadata.is_some_and(|metadata| metadata.contains_key(CALIBRATED))
}

/// Numbers as little-endian bytes, which on nearly every machine they are already.
pub(crate) fn little_endian(values: &[f32]) -> std::borrow::Cow<'_, [u8]> {
    if cfg!(target_endian = "little") {
        cast_slice(values).into()
    } else {
        values
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect::<Vec<_>>()
            .into()
    }
}

/// Numbers from little-endian bytes.
pub(crate) fn from_little_endian(bytes: &[u8]) -> impl Iterator<Item = f32> {
    bytes
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
}

/// The arena of a model from a safetensors file; `path` is for messages.
///
/// # Errors
/// [`EngineError::Corrupt`] when it is none, [`EngineError::WeightsDoNotFit`] when names, types or shapes are not those of
/// the model.
pub(crate) fn from_safetensors(
    path: &Path,
    bytes: &[u8],
    layout: &ParamLayout,
) -> Result<Vec<f32>, EngineError> {
    let tensors = SafeTensors::deserialize(bytes).map_err(|e| EngineError::Corrupt {
        path: path.to_owned(),
        reason: format!("the weights are cut short or damaged ({e})"),
        made_by: Job::Train,
    })?;
    let unfit = |tensor: &str, problem: String| EngineError::WeightsDoNotFit {
        path: path.to_owned(),
        tensor: tensor.to_owned(),
        problem,
    };
    let mut by_name: HashMap<String, TensorView<'_>> = tensors.tensors().into_iter().collect();
    let mut arena = vec![0.0; layout.len()];
    for param in layout.params() {
        let found = by_name.remove(&param.name);
        let found = found.ok_or_else(|| unfit(&param.name, "is missing".to_owned()))?;
        if found.dtype() != Dtype::F32 || found.shape() != param.shape {
            let problem = format!(
                "is {:?} of the shape {:?}, F32 of {:?} is needed",
                found.dtype(),
                found.shape(),
                param.shape
            );
            return Err(unfit(&param.name, problem));
        }
        for (to, value) in arena[param.view.range()]
            .iter_mut()
            .zip(from_little_endian(found.data()))
        {
            *to = value;
        }
    }
    match by_name.keys().min() {
        Some(name) => Err(unfit(name, "is none of this model's".to_owned())),
        None => Ok(arena),
    }
}

#[cfg(test)]
mod tests {
    use engine_core::argn::{FlatModel, Model, ModelSize, ModelUnits};
    use engine_core::ir::initialise;
    use engine_core::schema::SubColumnName;

    use super::*;

    #[test]
    fn weights_say_whether_they_are_calibrated() {
        let sub_columns = vec![(SubColumnName::target(0, 0, "cat"), 5)];
        let units = ModelUnits::flat(ModelSize::Small, &sub_columns);
        let model = FlatModel::new(sub_columns, &units, None).unwrap();
        let (layout, params) = (model.layout(), initialise(model.layout(), 1));
        for calibrated in [false, true] {
            let bytes = to_safetensors(layout, &params, calibrated).unwrap();
            assert_eq!(is_calibrated(&bytes), calibrated);
            assert_eq!(from_safetensors(Path::new("w"), &bytes, layout).unwrap(), params);
        }
        assert!(!is_calibrated(b"no weights"));
    }
}
