//! Columns of text for `-q`.

/// Rows with columns padded to the widest entry; line breaks become spaces.
pub fn render(rows: &[Vec<Vec<u8>>]) -> Vec<u8> {
    let columns = rows.first().map_or(0, Vec::len);
    let mut widths = vec![0; columns];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.len().max(*width);
        }
    }
    let mut out = Vec::new();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            out.extend(
                cell.iter()
                    .map(|&byte| if byte == b'\n' { b' ' } else { byte }),
            );
            if column + 1 < columns {
                out.resize(out.len() + widths[column] - cell.len() + 2, b' ');
            }
        }
        out.push(b'\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_the_last_is_not_padded() {
        let rows = [
            vec![b"a".to_vec(), b"x\ny".to_vec()],
            vec![b"long".to_vec(), b"z".to_vec()],
        ];
        assert_eq!(render(&rows), b"a     x y\nlong  z\n");
        assert_eq!(render(&[]), b"");
    }
}
