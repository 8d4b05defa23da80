//! Encoded tables on the device: columns of codes, packed into 32-bit elements.

use engine_core::schema::{CodeColumn, CodeTable};

/// Packs a table: the number of rows; first element and bits of a code for each column; then the columns. `table_code` in
/// `shaders/batch.wgsl` reads it.
pub(crate) fn pack(table: &CodeTable) -> Vec<u32> {
    let columns = table.columns();
    let mut packed = vec![0; 1 + 2 * columns.len()];
    packed[0] = table.rows() as u32;
    for (s, column) in columns.iter().enumerate() {
        let start = packed.len() as u32;
        packed[1 + 2 * s] = start;
        packed[2 + 2 * s] = 8 * code_bytes(column) as u32;
        match column {
            CodeColumn::U8(codes) => packed.extend(codes.chunks(4).map(|c| joined(c, 8))),
            CodeColumn::U16(codes) => packed.extend(codes.chunks(2).map(|c| joined(c, 16))),
            CodeColumn::U32(codes) => packed.extend_from_slice(codes),
        }
    }
    packed
}

/// Bytes of a packed table.
pub(crate) fn packed_bytes(table: &CodeTable) -> u64 {
    let column = |c: &CodeColumn| (c.len() * code_bytes(c)).next_multiple_of(4);
    let codes: usize = table.columns().iter().map(column).sum();
    (4 * (1 + 2 * table.columns().len()) + codes) as u64
}

fn code_bytes(column: &CodeColumn) -> usize {
    match column {
        CodeColumn::U8(_) => 1,
        CodeColumn::U16(_) => 2,
        CodeColumn::U32(_) => 4,
    }
}

/// Codes in one element, the first in its lowest bits.
fn joined<T: Copy + Into<u32>>(codes: &[T], bits: u32) -> u32 {
    let shifts = (0..).step_by(bits as usize);
    codes
        .iter()
        .zip(shifts)
        .fold(0, |packed, (code, shift): (_, u32)| {
            packed | (*code).into() << shift
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_packed_in_their_own_width() {
        let columns = vec![
            CodeColumn::U8(vec![1, 2, 3, 4, 5]),
            CodeColumn::U16(vec![256, 1, 2, 3, 4]),
            CodeColumn::U32(vec![70_000, 1, 2, 3, 4]),
        ];
        let table = CodeTable::new(columns, 5).expect("five rows each");
        let packed = pack(&table);
        assert_eq!(packed[..7], [5, 7, 8, 9, 16, 12, 32]);
        assert_eq!(packed[7..9], [0x0403_0201, 5]);
        assert_eq!(packed[9..12], [0x0001_0100, 0x0003_0002, 4]);
        assert_eq!(packed[12..], [70_000, 1, 2, 3, 4]);
        assert_eq!(packed_bytes(&table), 4 * packed.len() as u64);
    }
}
