//! Checksums of many bytes, piece by piece: browsers compile well what is called often, not what loops for long, so
//! that in one piece the first model or library of a visit would take four times as long.

const PIECE_BYTES: usize = 1 << 15;

/// CRC-32 of `bytes`, as zlib has it.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    bytes
        .chunks(PIECE_BYTES)
        .for_each(|piece| hasher.update(piece));
    hasher.finalize()
}

/// SHA-256 of `bytes`.
#[cfg(feature = "photos")]
pub(crate) fn sha256(bytes: &[u8]) -> impl AsRef<[u8]> {
    use sha2::Digest;
    let mut hasher = sha2::Sha256::new();
    bytes
        .chunks(PIECE_BYTES)
        .for_each(|piece| hasher.update(piece));
    hasher.finalize()
}
