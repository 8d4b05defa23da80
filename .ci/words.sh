#!/usr/bin/env bash
# One word for one thing: spellings that the glossary of CONTRIBUTING.md replaces, and what must not be in a file at all.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

files() {
    git ls-files --cached --others --exclude-standard -- "$@" ':!tests/fixtures' ':!.ci/words.sh' ':!Cargo.lock' ':!LICENSE'
}

failed=0
# ban WHAT-TO-DO PATTERN PATHS...: the pattern is an extended regular expression in which case counts.
ban() {
    local advice=$1 pattern=$2 found
    shift 2
    found=$(files "$@" | xargs -r -d '\n' grep -nIE -e "$pattern" -- || true)
    if [[ -n $found ]]; then
        printf '%s\n-- %s\n\n' "$found" "$advice"
        failed=1
    fi
}

ours=('*.rs' '*.md' '*.toml' '*.wgsl' '*.cu')
ban "write sub_column, sub-column or SubColumn" '[Ss]ubcolumn|sub column' "${ours[@]}"
ban "write dropout_rate" '\bkeep_prob' "${ours[@]}"
ban "write top_p" '\btopp\b|\bnucleus\b' "${ours[@]}"
ban "write temperature" 'sampling_temperature' "${ours[@]}"
ban "write beta1, beta2 and adam_eps" '\bbeta_[12]\b|\badam_epsilon\b' "${ours[@]}"
ban "write seed" '\brandom_state\b' '*.rs' '*.md' '*.toml'
ban "write per_sample_grad and per_sample_sq_norm" '\bgrad_sample\b|\bnorm_sample\b|\bper_example_' "${ours[@]}"
ban "write max_grad_norm" '\bl2_norm_clip\b' "${ours[@]}"
ban "write noise_multiplier" '\bsigma\b' '*.rs' '*.toml'
ban "write sampling_rate" '\bsample_rate\b|\bsampling_probability\b' "${ours[@]}"
ban "write interpreter or reference" '[Gg]round[ _-]truth' "${ours[@]}"
ban "write Cell::{Sampled, Masked, TeacherForced, Observed}" '\bCell::(Drawn|Hidden|Given|Known)\b|\bCELL_(DRAWN|HIDDEN|GIVEN|KNOWN)\b' "${ours[@]}"
ban "write Quantiles, quantile map" '\bKnots\b' "${ours[@]}" ':!CHANGELOG.md'
ban "write RequestedOutputs, requested" '\bReports\b|\b(NOT|not)_[Rr](EPORTED|eported)\b' "${ours[@]}" ':!CHANGELOG.md'
ban "write interpreter" 'ReferenceBackend|\bRefBuffer\b|\breference interpreter\b' "${ours[@]}" ':!CHANGELOG.md'
ban "write f32 or u32 buffer" 'ResourceKind::Numbers|(Value|Contents)::(Numbers|Words)\b|\btake_(numbers|words)\b' "${ours[@]}" ':!CHANGELOG.md'
ban "write device buffers" '\bResident\b' '*.rs'
ban "write scratch, partial sums or CompileContext" '\b[Rr]oom\b|[a-z]_room\b|\broom_[a-z]' 'engine-core/src/ir' 'engine-core/src/conformance' engine-cpu 'engine-kernels-*'
ban "write capture, captured graph" '\b(begin|end)_recording\b|\bclear_recordings\b' '*.rs'
ban "write stream; a lane is of a warp or a register" 'FETCH_LANE|\b[Ll]anes? of a recording\b' '*.rs'
ban "write gradient or grad_output" '\bbackprops?\b' "${ours[@]}"
ban "do it now or leave it out" '\b(TODO|FIXME|XXX)\b' '*'
ban "a path of one machine" '(^|[^A-Za-z0-9_.~-])/(home|root|Users|work)/' '*'
ban "a name without a version" '\b[a-z_]+_v[0-9]\b' '*.rs'
ban "sort out the merge" '^(<<<<<<<|>>>>>>>) ' '*'

((failed == 0)) && echo "words: $(files '*' | wc -l) files searched, nothing found"
exit "$failed"
