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
ban "write expected, or interpreter" '[Gg]round[ _-]truth' "${ours[@]}"
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

# Terms of the field instead of words of our own (docs/decisions/020-words.md). CHANGELOG.md has the old names in its table.
words=("${ours[@]}" ':!CHANGELOG.md' ':!docs/decisions/020-words.md')
ban "write initial weights" '[Ss]tart[_ ]values?\b' "${words[@]}"
ban "write any-order model, fixed-order model" '\b[Mm]odels?[_ ]of[_ ](any|one|a[_ ]fixed)[_ ]order' "${words[@]}"
ban "write subject count" '\bSupport\b.*[Ww]ho holds' "${words[@]}"
ban "write null fill" '\bfillers?\b|\bnull_stand' "${words[@]}"
ban "write canonicalise" '\bsettle_nulls\b|nulls are settled' "${words[@]}"
ban "write ParseFailures" '\b[Mm]isfits?\b' '*.rs'
ban "write SparseDistribution, BeamLimits, limit_beam" '\bstruct (Atoms|Keep)\b|\bfn prune\b' '*.rs'
ban "write ExactQuotas, quotas" '\bExactShares\b|\bdealt\b' "${words[@]}"
ban "write conditional sampling" 'DrawnTable|[Rr]ows around|\bstruct Planned\b' "${words[@]}"
ban "write BinOffsets, BinDistributions" '\bWithinBins\b' "${words[@]}"
ban "write NoisyHistogram" '\bstruct Noisy\b|\bstruct Release\b' '*.rs'
ban "write NeighbouringRelation" '\bNeighbours\b' '*.rs'
ban "write TrainingRecord, SplitRecord, CodesRecord" '\b(Training|Split|Codes)Facts\b' "${words[@]}"
ban "write codes_per_sample" '\bdata_points\b' '*.rs'
ban "write TrainOptions" '\bTrainSettings\b' "${words[@]}"
ban "write ProgressCallback, on_progress" '\bWatch<|[Ww]hoever watch' "${words[@]}"
ban "write TrainPlan, SamplePlan or MemoryPlan" '\b(struct|enum) Plan\b' 'engine-core/*.rs' 'engine-api/*.rs'
ban "write WorkspaceLayout, or ParamLayout" '\bstruct Layout\b' "${words[@]}"
ban "write seed_data" '\.conditions\(|\bconditions: (Option<)?RecordBatch' '*.rs' '*.md'
ban "write Compat::MostlyAi" 'Compat::Reference\b' "${words[@]}"
ban "write mostlyai-engine, or interpreter" '\b([Tt]he|of) reference engine\b|as the reference\b|[Tt]he reference (has|takes|gives|keeps|draws|fails|crashes|recorded)' "${words[@]}"
ban "write TestDir" '\bDesk\b' '*.rs'
ban "write canary" '\bplanting\b' "${words[@]}"
ban "write query, inference" '\b[Qq]uestions? (to|for) (a|the) (model|joint|distribution|log)|QuestionError|[Oo]ne model, many questions|[Aa]sking a model|\bfirst question (puts|of a kind)' "${words[@]}"
ban "write are inferred, or detected" '\bfound out\b|find (them|its values) out|find out its values' "${words[@]}"
ban "write ignores, with a warning" '\b[Pp]ass(es|ed)? over (columns|with)|is passed over|are passed over' "${words[@]}"
ban "write clipped to the range" '\bdrawn in( to its ends)?;' "${words[@]}"
ban "write memorisation" 'rows by heart' "${words[@]}"
ban "write crates, modules, documentation" '[Rr]ooms of |[Tt]he house\b|[Hh]ouse rules|\bof this house\b|[Oo]ur papers' "${words[@]}"
ban "write compressed, multi-member gzip" 'packed with gzip|several members' "${words[@]}"
ban "write missing values" 'stand in the holes' "${words[@]}"

ban "do it now or leave it out" '\b(TODO|FIXME|XXX)\b' '*'
ban "a path of one machine" '(^|[^A-Za-z0-9_.~-])/(home|root|Users|work)/' '*'
ban "a name without a version" '\b[a-z_]+_v[0-9]\b' '*.rs'
ban "sort out the merge" '^(<<<<<<<|>>>>>>>) ' '*'

((failed == 0)) && echo "words: $(files '*' | wc -l) files searched, nothing found"
exit "$failed"
