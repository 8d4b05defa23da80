// Device memory. It ends where memory begins that cannot be touched, less what rounding to 256 bytes takes; that and what
// lies before it is filled with a pattern.
#pragma once

#include "grid.h"

namespace host {

struct Allocation {
    char* begin;
    u64 bytes;
    u64 rounded;

    size_t mapped() const { return (rounded + GUARDED + PAGE - 1) / PAGE * PAGE + FORBIDDEN; }
    char* map() const { return begin + rounded + FORBIDDEN - mapped(); }

    static const size_t GUARDED = 256;
    static const size_t FORBIDDEN = 1 << 20;
};

}  // namespace host

extern "C" char* engine_host_allocate(u64 bytes) {
    using namespace host;
    Allocation made = {nullptr, bytes, (bytes + 255) / 256 * 256};
    size_t mapped = made.mapped();
    void* map = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED) return nullptr;
    char* end = (char*)map + mapped - Allocation::FORBIDDEN;
    if (mprotect(end, Allocation::FORBIDDEN, PROT_NONE) != 0) abort();
    made.begin = end - made.rounded;
    memset(made.begin - Allocation::GUARDED, GUARD, Allocation::GUARDED);
    memset(made.begin, UNWRITTEN, bytes);
    memset(made.begin + bytes, GUARD, made.rounded - bytes);
    return made.begin;
}

// 0, or 1 when something was written before the allocation, 2 when behind it.
extern "C" int engine_host_check(const char* begin, u64 bytes) {
    using namespace host;
    for (size_t i = 1; i <= Allocation::GUARDED; ++i) {
        if ((u8)begin[-(long)i] != GUARD) return 1;
    }
    for (u64 i = bytes; i < (bytes + 255) / 256 * 256; ++i) {
        if ((u8)begin[i] != GUARD) return 2;
    }
    return 0;
}

extern "C" void engine_host_free(char* begin, u64 bytes) {
    host::Allocation made = {begin, bytes, (bytes + 255) / 256 * 256};
    munmap(made.map(), made.mapped());
}
