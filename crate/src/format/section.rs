//! Numbers ⇄ little-endian bytes.

use half::f16;

macro_rules! little_endian {
    ($to:ident, $from:ident, $number:ty, $name:literal) => {
        #[doc = concat!("Little-endian bytes of ", $name, ".")]
        pub fn $to(values: &[$number]) -> Vec<u8> {
            values.iter().flat_map(|value| value.to_le_bytes()).collect()
        }

        #[doc = concat!("The ", $name, " in little-endian bytes; `None` when the length is no whole number of them.")]
        pub fn $from(bytes: &[u8]) -> Option<Vec<$number>> {
            let (values, rest) = bytes.as_chunks();
            rest.is_empty().then(|| values.iter().map(|value| <$number>::from_le_bytes(*value)).collect())
        }
    };
}

little_endian!(bytes_of_f32, f32_of, f32, "f32");
little_endian!(bytes_of_u32, u32_of, u32, "u32");
little_endian!(bytes_of_u64, u64_of, u64, "u64");
little_endian!(bytes_of_f16, f16_of, f16, "f16");
little_endian!(bytes_of_i8, i8_of, i8, "i8");
