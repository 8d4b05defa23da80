//! Tests of the whole: golden conformance (`--test golden`) and the rules of the architecture (`--test system architecture::`). The library
//! itself is empty.
