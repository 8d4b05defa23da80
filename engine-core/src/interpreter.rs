//! A backend that is the interpreter: slow, in double precision, on every machine. Tests of training and generation run on it, and it
//! shows on one page what a backend must do.

use std::any::Any;

use crate::backend::{Backend, BackendError, Buffer, DeviceInfo, Executable, HostData, Run};
use crate::ir::{
    DType, InterpretError, Interpreter, InterpreterBuffer, Program, Resource, ResourceKind, Tensor,
};

const NAME: &str = "interpreter";

/// Runs programs in double precision with plain loops. Buffers are kept in single precision between steps, as on a device,
/// so that results do not depend on how many steps one run has.
#[derive(Debug, Clone, Copy, Default)]
pub struct InterpreterBackend;

#[derive(Debug)]
struct OwnBuffer {
    data: HostData,
}

#[derive(Debug)]
struct InterpreterProgram {
    program: Program,
    max_rows: usize,
    results: Vec<(String, HostData)>,
}

impl Backend for InterpreterBackend {
    fn device(&self) -> DeviceInfo {
        DeviceInfo {
            backend: NAME,
            device: "double precision, plain loops".to_owned(),
            parallelism: 1,
            memory: None,
            largest_buffer: None,
        }
    }

    fn compile(&self, program: &Program, max_rows: usize) -> Result<Box<dyn Executable>, BackendError> {
        Ok(Box::new(InterpreterProgram {
            program: program.clone(),
            max_rows,
            results: Vec::new(),
        }))
    }

    fn upload(&self, data: HostData) -> Result<Box<dyn Buffer>, BackendError> {
        Ok(Box::new(OwnBuffer { data }))
    }
}

fn describe(data: &HostData) -> String {
    match data {
        HostData::F32(values) => format!("{} f32 values", values.len()),
        HostData::U32(values) => format!("{} u32 values", values.len()),
        HostData::Codes(table) => {
            format!(
                "a table of {} rows and {} sub-columns",
                table.rows(),
                table.columns().len()
            )
        }
    }
}

impl Buffer for OwnBuffer {
    fn read(&self) -> Result<HostData, BackendError> {
        Ok(self.data.clone())
    }

    fn write(&mut self, data: &HostData) -> Result<(), BackendError> {
        let (expected, got) = (describe(&self.data), describe(data));
        if expected != got {
            return Err(mismatch("", "buffer", expected, got));
        }
        self.data = data.clone();
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

impl Executable for InterpreterProgram {
    fn run(
        &mut self,
        run: &Run,
        resources: &mut [&mut dyn Buffer],
        inputs: &[&dyn Buffer],
    ) -> Result<(), BackendError> {
        self.program.check_rows(NAME, run, self.max_rows)?;
        let name = self.program.name();
        let mut bound = Vec::with_capacity(resources.len());
        for (buffer, resource) in resources.iter().zip(self.program.resources()) {
            bound.push(bind(name, resource, read_own(&**buffer, name, &resource.name)?)?);
        }
        let mut tensors = Vec::with_capacity(inputs.len());
        for (buffer, input) in inputs.iter().zip(self.program.inputs()) {
            let shape = self.program.shape(input.value);
            let expected = (shape.rows.count(run), shape.groups.total());
            tensors.push(tensor(read_own(*buffer, name, &input.name)?, expected));
        }
        let mut interpreter = Interpreter::new(&self.program);
        for step in 0..run.steps {
            interpreter
                .run_step(run, step, &mut bound, &tensors)
                .map_err(device_error)?;
            bound.iter_mut().for_each(round);
        }
        for (buffer, bound) in resources.iter_mut().zip(bound) {
            store(*buffer, bound);
        }
        let mut results = Vec::new();
        for (name, value) in self.program.outputs() {
            if let Some(tensor) = interpreter.output(name) {
                results.push((name.clone(), host(tensor, self.program.shape(*value).dtype)));
            }
        }
        self.results = results;
        Ok(())
    }

    fn output(&self, name: &str) -> Result<HostData, BackendError> {
        let found = self.results.iter().find(|(n, _)| n == name);
        found
            .map(|(_, data)| data.clone())
            .ok_or_else(|| BackendError::UnknownOutput {
                program: self.program.name().to_owned(),
                name: name.to_owned(),
            })
    }
}

fn mismatch(program: &str, binding: &str, expected: String, got: String) -> BackendError {
    BackendError::BufferMismatch {
        program: program.to_owned(),
        binding: binding.to_owned(),
        expected,
        got,
    }
}

fn read_own<'a>(buffer: &'a dyn Buffer, program: &str, binding: &str) -> Result<&'a HostData, BackendError> {
    let own = buffer.as_any().downcast_ref::<OwnBuffer>();
    own.map(|b| &b.data).ok_or_else(|| {
        let (expected, got) = ("a buffer of this backend", "a buffer of another one");
        mismatch(program, binding, expected.to_owned(), got.to_owned())
    })
}

fn widen(data: &HostData) -> Vec<f64> {
    match data {
        HostData::F32(values) => values.iter().map(|v| f64::from(*v)).collect(),
        HostData::U32(values) => values.iter().map(|v| f64::from(*v)).collect(),
        HostData::Codes(_) => Vec::new(),
    }
}

fn bind(program: &str, resource: &Resource, data: &HostData) -> Result<InterpreterBuffer, BackendError> {
    match (&resource.kind, data) {
        (ResourceKind::Codes { .. }, HostData::Codes(table)) => Ok(InterpreterBuffer::Codes(table.clone())),
        (ResourceKind::Arena(_) | ResourceKind::F32, HostData::F32(_)) => {
            Ok(InterpreterBuffer::from_f64(widen(data)))
        }
        (ResourceKind::U32, HostData::U32(integers)) => Ok(InterpreterBuffer::U32(integers.clone())),
        (kind, data) => {
            let expected = match kind {
                ResourceKind::Codes { .. } => "a table",
                ResourceKind::Arena(_) | ResourceKind::F32 => "an f32 buffer",
                ResourceKind::U32 => "a u32 buffer",
            };
            Err(mismatch(
                program,
                &resource.name,
                expected.to_owned(),
                describe(data),
            ))
        }
    }
}

/// The interpreter refuses a tensor of another shape than it expects, so what has another number of values gets the width that they give.
fn tensor(data: &HostData, (rows, width): (usize, usize)) -> Tensor {
    let data = widen(data);
    if data.len() == rows * width {
        return Tensor::from_data(rows, width, data);
    }
    let width = data.len().checked_div(rows).unwrap_or(data.len());
    if width * rows == data.len() {
        Tensor::from_data(rows, width, data)
    } else {
        Tensor::from_data(0, 0, Vec::new())
    }
}

fn round(buffer: &mut InterpreterBuffer) {
    if let InterpreterBuffer::F64 { data, .. } = buffer {
        data.iter_mut().for_each(|v| *v = f64::from(*v as f32));
    }
}

fn store(buffer: &mut dyn Buffer, bound: InterpreterBuffer) {
    if let (Some(own), InterpreterBuffer::F64 { data, .. }) =
        (buffer.as_any_mut().downcast_mut::<OwnBuffer>(), bound)
    {
        own.data = HostData::F32(data.into_iter().map(|v| v as f32).collect());
    }
}

fn host(tensor: &Tensor, dtype: DType) -> HostData {
    match dtype {
        DType::F32 => HostData::F32(tensor.data.iter().map(|v| *v as f32).collect()),
        DType::U32 => HostData::U32(tensor.data.iter().map(|v| *v as u32).collect()),
    }
}

fn device_error(error: InterpretError) -> BackendError {
    match error {
        InterpretError::CodeOutOfRange {
            sub_column,
            code,
            cardinality,
            ..
        } => BackendError::CodeOutOfRange {
            sub_column,
            code,
            cardinality,
        },
        other => BackendError::Device {
            device: NAME.to_owned(),
            reason: other.to_string(),
            remedies: Vec::new(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::argn::Model as _;
    use crate::fixtures::{pair_model, related_table};
    use crate::schema::ColumnOrderKind;

    #[test]
    fn it_refuses_what_does_not_fit() {
        let model = pair_model().with_order(ColumnOrderKind::Fixed);
        let program = model.train_programs(1).unwrap().validation().unwrap();
        let mut executable = InterpreterBackend.compile(&program, 8).unwrap();
        let run = |executable: &mut Box<dyn Executable>, rows, params: usize| {
            let upload = |data| InterpreterBackend.upload(data).unwrap();
            let mut table = upload(HostData::Codes(related_table(9, 1)));
            let mut params = upload(HostData::F32(vec![0.0; params]));
            let mut trace = upload(HostData::F32(vec![0.0]));
            let mut bound: [&mut dyn Buffer; 3] = [&mut *table, &mut *params, &mut *trace];
            executable.run(&Run::evaluate(rows), &mut bound, &[])?;
            trace.read()
        };
        let error = run(&mut executable, 9, pair_model().layout().len()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a batch of program \"validation\" needs 9, the interpreter backend allows 8; use a smaller batch or another device"
        );
        let HostData::F32(trace) = run(&mut executable, 8, pair_model().layout().len()).unwrap() else {
            panic!("a trace is an f32 buffer");
        };
        // Without weights every code is equally likely.
        assert_eq!(trace, [(8.0 * 2.0 * 4f64.ln()) as f32]);
        let error = executable.output("loses").unwrap_err();
        assert_eq!(
            error.to_string(),
            "program \"validation\" has no result \"loses\""
        );
        let HostData::F32(losses) = executable.output("loss").unwrap() else {
            panic!("losses are f32");
        };
        assert_eq!(losses.len(), 8);
    }

    #[test]
    fn buffers_keep_kind_and_length() {
        let mut buffer = InterpreterBackend.upload(HostData::F32(vec![1.0, 2.0])).unwrap();
        buffer.write(&HostData::F32(vec![3.0, 4.0])).unwrap();
        assert_eq!(buffer.read().unwrap(), HostData::F32(vec![3.0, 4.0]));
        for wrong in [HostData::F32(vec![1.0]), HostData::U32(vec![1, 2])] {
            assert!(matches!(
                buffer.write(&wrong),
                Err(BackendError::BufferMismatch { .. })
            ));
        }
    }
}
