//! Encodings: from values to codes and back.
