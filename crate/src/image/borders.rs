//! Black borders, as films and screenshots have them.

use super::Decoded;

/// Cuts off the rows and columns at the edges that are wholly black. A photo that is black all over
/// stays as it is.
pub fn trim_black_borders(photo: Decoded) -> Decoded {
    let width = photo.width as usize;
    let row_is_black = |row: &[u8]| row.iter().all(|value| *value == 0);
    let mut rows = photo.rgb.chunks_exact(3 * width.max(1));
    let Some(top) = rows.position(|row| !row_is_black(row)) else {
        return photo;
    };
    let below = photo
        .rgb
        .chunks_exact(3 * width)
        .rev()
        .take_while(|row| row_is_black(row))
        .count();
    let bottom = photo.height as usize - below;
    let column_is_black =
        |x: usize| (top..bottom).all(|y| row_is_black(&photo.rgb[3 * (y * width + x)..][..3]));
    let left = (0..width).take_while(|x| column_is_black(*x)).count();
    let right = width - (0..width).rev().take_while(|x| column_is_black(*x)).count();
    if (left, top, right, bottom) == (0, 0, width, photo.height as usize) {
        return photo;
    }
    let rgb =
        (top..bottom).flat_map(|y| &photo.rgb[3 * (y * width + left)..3 * (y * width + right)]);
    Decoded {
        width: (right - left) as u32,
        height: (bottom - top) as u32,
        rgb: rgb.copied().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn photo(rows: &[&str]) -> Decoded {
        let rgb = rows
            .iter()
            .flat_map(|row| row.bytes())
            .flat_map(|c| [if c == b'#' { 9 } else { 0 }; 3]);
        Decoded {
            width: rows[0].len() as u32,
            height: rows.len() as u32,
            rgb: rgb.collect(),
        }
    }

    #[test]
    fn borders_go_and_black_inside_stays() {
        let trimmed =
            trim_black_borders(photo(&["......", "..#.#.", "......", "..##..", "......"]));
        assert_eq!(trimmed, photo(&["#.#", "...", "##."]));
    }

    #[test]
    fn a_photo_without_borders_or_wholly_black_stays() {
        for rows in [&["#.", ".#"][..], &["..", ".."]] {
            assert_eq!(trim_black_borders(photo(rows)), photo(rows));
        }
    }
}
