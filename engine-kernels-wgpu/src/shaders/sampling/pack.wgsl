// The folded model as draws read it: the weights of heads are ordered by units instead of by codes, so that neighbouring lanes, which have
// neighbouring codes, read neighbouring elements.

override LENGTH: u32 = 1u;
override HEADS: u32 = 1u;

@group(1) @binding(0) var<storage, read> whole: array<f32>;
@group(1) @binding(1) var<storage, read_write> packed: array<u32>;
// First element, units and codes of each head, in the order of the elements.
@group(1) @binding(2) var<storage, read> heads: array<vec4<u32>>;

// The value of packed element i.
fn packed_value(i: u32) -> f32 {
    if i >= LENGTH {
        return 0.0;
    }
    var low = 0u;
    var high = HEADS;
    while high - low > 1u {
        let middle = (low + high) / 2u;
        if heads[middle].x <= i {
            low = middle;
        } else {
            high = middle;
        }
    }
    let head = heads[low];
    let offset = i - head.x;
    // Elements before the first head have offsets that are too large as well.
    if offset >= head.y * head.z {
        return whole[i];
    }
    return whole[head.x + offset % head.z * head.y + offset / head.z];
}

// A value in each element, or two rounded to half precision.
@compute @workgroup_size(256)
fn pack_model(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = element(group, groups, thread);
    if HALF == 0u {
        if i < LENGTH {
            packed[i] = bitcast<u32>(packed_value(i));
        }
    } else if 2u * i < LENGTH {
        packed[i] = pack2x16float(vec2<f32>(packed_value(2u * i), packed_value(2u * i + 1u)));
    }
}
