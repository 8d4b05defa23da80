// CUDA's C++ for the host: what `common.cuh` includes when the kernels are compiled by a C++ compiler for the tests.
// A kernel becomes a function `engine_host_NAME` that runs all blocks of a grid, in random order.
#pragma once

#include <cmath>
using std::isnan;

#include "fibers.h"
#include "grid.h"
#include "intrinsics.h"
#include "memory.h"
#include "sanitizer.h"

#define KERNEL(name, Args, threads)                                                               \
    static void name##_body(const Args& a);                                                       \
    extern "C" int engine_host_##name(HostLaunch* launch) {                                       \
        return host::run(launch, threads, sizeof(Args),                                           \
                         [](const void* args) { name##_body(*static_cast<const Args*>(args)); }); \
    }                                                                                             \
    static void name##_body(const Args& a)
#define SHARED static thread_local
#define DYNAMIC_SHARED(name) float* name = host::dynamic_shared()
#define DEVICE static inline
