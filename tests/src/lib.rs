//! Tests of the whole: golden conformance (`--test golden`) and the rules of the architecture (`--test architecture`). The library
//! itself is empty.
