/**
 * Which features models of processors have, as libvirt 9.0.0 says them (`virsh cpu-baseline --features`).
 *
 * @since 0.9.0
 */

/** Those that all of these models have. */
const common =
  "apic clflush cmov cx16 cx8 de fpu fxsr lahf_lm lm mca mce mmx msr mtrr nx pae pat pge pni popcnt pse " +
  "pse36 sep sse sse2 sse4.1 sse4.2 ssse3 syscall tsc"

const besides: Readonly<Record<string, string>> = {
  Nehalem: "",
  "Haswell-noTSX":
    "aes avx avx2 bmi1 bmi2 erms fma fsgsbase invpcid movbe pcid pclmuldq rdtscp smep tsc-deadline x2apic xsave",
  "Skylake-Server":
    "3dnowprefetch abm adx aes arat avx avx2 avx512bw avx512cd avx512dq avx512f avx512vl bmi1 bmi2 clwb " +
    "erms f16c fma fsgsbase hle invpcid movbe mpx pcid pclmuldq pdpe1gb rdrand rdseed rdtscp rtm smap " +
    "smep tsc-deadline vme x2apic xgetbv1 xsave xsavec xsaveopt",
  "Cascadelake-Server":
    "3dnowprefetch abm adx aes arat avx avx2 avx512bw avx512cd avx512dq avx512f avx512vl avx512vnni bmi1 " +
    "bmi2 clflushopt clwb erms f16c fma fsgsbase hle invpcid movbe mpx pcid pclmuldq pdpe1gb rdrand " +
    "rdseed rdtscp rtm smap smep spec-ctrl ssbd tsc-deadline vme x2apic xgetbv1 xsave xsavec xsaveopt",
  EPYC:
    "3dnowprefetch abm adx aes arat avx avx2 bmi1 bmi2 clflushopt cr8legacy f16c fma fsgsbase fxsr_opt " +
    "misalignsse mmxext monitor movbe osvw pclmuldq pdpe1gb rdrand rdseed rdtscp sha-ni smap smep sse4a " +
    "svm vme xgetbv1 xsave xsavec xsaveopt",
  "EPYC-Rome":
    "3dnowprefetch abm adx aes amd-stibp arat avx avx2 bmi1 bmi2 clflushopt clwb clzero cr8legacy f16c " +
    "fma fsgsbase fxsr_opt ibpb misalignsse mmxext movbe npt nrip-save osvw pclmuldq pdpe1gb perfctr_core " +
    "rdpid rdrand rdseed rdtscp sha-ni smap smep sse4a svm umip vme wbnoinvd xgetbv1 xsave xsavec " +
    "xsaveerptr xsaveopt",
  "EPYC-Milan":
    "3dnowprefetch abm adx aes amd-ssbd amd-stibp arat avx avx2 bmi1 bmi2 clflushopt clwb clzero " +
    "cr8legacy erms f16c fma fsgsbase fsrm fxsr_opt ibpb ibrs invpcid misalignsse mmxext movbe npt " +
    "nrip-save osvw pcid pclmuldq pdpe1gb perfctr_core pku rdpid rdrand rdseed rdtscp sha-ni smap smep " +
    "sse4a svm svme-addr-chk umip vme wbnoinvd xgetbv1 xsave xsavec xsaveerptr xsaveopt xsaves"
}

/** In the order of the alphabet. Of a model that is not known here: what all have. @since 0.9.0 @category getters */
export const featuresOf = (model: string): ReadonlyArray<string> => {
  const more = Object.hasOwn(besides, model) ? (besides[model] ?? "") : ""
  return `${common} ${more}`
    .split(" ")
    .filter((name) => name !== "")
    .toSorted()
}
