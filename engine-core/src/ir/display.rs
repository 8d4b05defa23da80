//! The printed form of a program: one line per resource, input, node and output.

use std::fmt;

use super::access::Access;
use super::program::{Program, ValueId};
use super::resource::ResourceKind;

impl fmt::Display for ValueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "%{}", self.0)
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "program {} {{", self.name())?;
        for resource in self.resources() {
            match &resource.kind {
                ResourceKind::Arena(layout) => {
                    let (count, params) = (layout.len(), layout.params().len());
                    writeln!(f, "  @{}: arena of {count} in {params} parameters", resource.name)?;
                }
                ResourceKind::Codes { columns } => {
                    writeln!(f, "  @{}: codes of {columns} sub-columns", resource.name)?;
                }
                ResourceKind::F32 => writeln!(f, "  @{}: f32", resource.name)?,
                ResourceKind::U32 => writeln!(f, "  @{}: unsigned integers", resource.name)?,
            }
        }
        for input in self.inputs() {
            writeln!(
                f,
                "  {} = input {:?}: {}",
                input.value,
                input.name,
                self.shape(input.value)
            )?;
        }
        for node in self.nodes() {
            let outputs: Vec<String> = node.outputs.iter().map(ToString::to_string).collect();
            let inputs: Vec<String> = node.inputs.iter().map(ToString::to_string).collect();
            let mut attributes = node.op.attributes();
            let accesses = node.op.accesses();
            let mut named = Vec::new();
            for Access { resource, .. } in &accesses {
                if named.contains(resource) {
                    continue;
                }
                named.push(*resource);
                let name = &self.resources()[resource.index()].name;
                let writes = |a: &Access| a.resource == *resource && a.kind.writes();
                let mark = if accesses.iter().any(writes) { "&" } else { "" };
                let gap = if attributes.is_empty() { "" } else { ", " };
                attributes = format!("{attributes}{gap}{mark}@{name}");
            }
            let shapes: Vec<String> = node.outputs.iter().map(|v| self.shape(*v).to_string()).collect();
            write!(f, "  ")?;
            if !outputs.is_empty() {
                write!(f, "{} = ", outputs.join(", "))?;
            }
            write!(f, "{}", node.op.name())?;
            if !attributes.is_empty() {
                write!(f, " {{{attributes}}}")?;
            }
            write!(f, " ({})", inputs.join(", "))?;
            if !shapes.is_empty() {
                write!(f, ": {}", shapes.join(", "))?;
            }
            writeln!(f)?;
        }
        for (name, value) in self.outputs() {
            writeln!(f, "  return {name:?} = {value}")?;
        }
        write!(f, "}}")
    }
}
