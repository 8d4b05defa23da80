// Handlers of the checks that the compiler weaves in: misaligned access, index of a fixed array, shifts, casts, division.
// The compiler's own library of them is not linked, so that a fault ends the launch and not the process.
#pragma once

#include "fibers.h"

namespace host {

struct SourceLocation {
    const char* file;
    u32 line;
    u32 column;
};

__attribute__((noreturn)) static void fail_at(const SourceLocation* at, const char* what, u64 value) {
    fail("%s (%#llx) at %s:%u:%u", what, value, at->file, at->line, at->column);
}

}  // namespace host

#define HANDLER extern "C" __attribute__((visibility("hidden"), noreturn, used)) void
// Each handler's data begins with the place in the source.
HANDLER __ubsan_handle_type_mismatch_v1_abort(host::SourceLocation* at, u64 pointer) {
    host::fail_at(at, "a misaligned address", pointer);
}
HANDLER __ubsan_handle_out_of_bounds_abort(host::SourceLocation* at, u64 index) {
    host::fail_at(at, "an index out of bounds", index);
}
HANDLER __ubsan_handle_shift_out_of_bounds_abort(host::SourceLocation* at, u64, u64 by) {
    host::fail_at(at, "a shift by more than the width", by);
}
HANDLER __ubsan_handle_divrem_overflow_abort(host::SourceLocation* at, u64 left, u64) {
    host::fail_at(at, "a division by zero", left);
}
HANDLER __ubsan_handle_float_cast_overflow_abort(host::SourceLocation* at, u64 value) {
    host::fail_at(at, "a number outside the range of the integer type it is cast to", value);
}
HANDLER __ubsan_handle_builtin_unreachable(host::SourceLocation* at) { host::fail_at(at, "unreachable code", 0); }
#undef HANDLER
