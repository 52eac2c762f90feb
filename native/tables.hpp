// Written by tools/tables.py. Do not edit.
// clang-format off
#pragma once

namespace rectified::RECTIFIED_TARGET {

template <class T>
struct exponential_table;

template <>
struct exponential_table<float> {
    static constexpr int steps = 8;
    static constexpr float steps_per_unit = 0x1.7154760000000p+3f;
    static constexpr float step_high = 0x1.62e0000000000p-4f;
    static constexpr float step_low = 0x1.0bfbe80000000p-18f;
    alignas(64) static constexpr float power[8] = {
        0x1.0000000000000p+0f, 0x1.f72b840000000p-1f, 0x1.f06fe00000000p-1f, 0x1.ebfdae0000000p-1f,
        0x1.ea09e60000000p-1f, 0x1.eace540000000p-1f, 0x1.ee89fa0000000p-1f, 0x1.f5818e0000000p-1f};
    alignas(64) static constexpr float power_rest[8] = {
        0x0.0p+0f, -0x1.9c0c220000000p-27f, 0x1.1250020000000p-25f, -0x1.0a35500000000p-25f,
        0x1.26055c0000000p-26f, 0x1.67a1ca0000000p-28f, -0x1.f9c3040000000p-27f, -0x1.a5217c0000000p-28f};
    alignas(64) static constexpr float tail[3] = {
        0x1.0000000000000p-1f, 0x1.555c820000000p-3f, 0x1.555a400000000p-5f};
    alignas(64) static constexpr float relative_tail[3] = {
        0x1.0000000000000p-1f, 0x1.555c2a0000000p-3f, 0x1.555a1e0000000p-5f};
    alignas(64) static constexpr float whole_tail[5] = {
        0x1.0000000000000p-1f, 0x1.55548c0000000p-3f, 0x1.5554e40000000p-5f, 0x1.123d020000000p-7f,
        0x1.6d514a0000000p-10f};
};

template <>
struct exponential_table<double> {
    static constexpr int steps = 16;
    static constexpr double steps_per_unit = 0x1.71547652b82fep+4;
    static constexpr double step_high = 0x1.62e42fefa0000p-5;
    static constexpr double step_low = 0x1.cf79abc9e3b3ap-44;
    alignas(64) static constexpr double power[16] = {
        0x1.0000000000000p+0, 0x1.fb5586cf9890fp-1, 0x1.f72b83c7d517bp-1, 0x1.f387a6e756238p-1,
        0x1.f06fe0a31b715p-1, 0x1.edea64c123422p-1, 0x1.ebfdad5362a27p-1, 0x1.eab07dd485429p-1,
        0x1.ea09e667f3bcdp-1, 0x1.ea11473eb0187p-1, 0x1.eace5422aa0dbp-1, 0x1.ec49182a3f090p-1,
        0x1.ee89f995ad3adp-1, 0x1.f199bdd85529cp-1, 0x1.f5818dcfba487p-1, 0x1.fa4afa2a490dap-1};
    alignas(64) static constexpr double power_rest[16] = {
        0x0.0p+0, 0x1.79aa65d837b6dp-54, -0x1.01b15eaa59348p-55, 0x1.68efde3a8a894p-54,
        0x1.34d754db0abb6p-55, 0x1.59f48a72a4c6dp-55, 0x1.690cebb7aafb0p-56, 0x1.063e1e21c5409p-54,
        -0x1.3b3efbf5e2228p-54, -0x1.b32dcb94da51dp-56, 0x1.db72fc1f0eab4p-55, 0x1.1affc2b91ce27p-56,
        0x1.c1a7792cb3387p-55, 0x1.36eae30af0cb3p-56, 0x1.4a385a63d07a7p-56, -0x1.ff7128fd391f0p-55};
    alignas(64) static constexpr double tail[5] = {
        0x1.0000000000004p-1, 0x1.555555548b9fep-3, 0x1.5555555484fb3p-5, 0x1.11123cf1e1548p-7,
        0x1.6c183d97c994dp-10};
    alignas(64) static constexpr double relative_tail[6] = {
        0x1.0000000000003p-1, 0x1.5555555555557p-3, 0x1.55555554a08dfp-5, 0x1.11111110b71bep-7,
        0x1.6c1828b631345p-10, 0x1.a01b4fe3134f6p-13};
    alignas(64) static constexpr double whole_tail[11] = {
        0x1.0000000000000p-1, 0x1.555555555555cp-3, 0x1.5555555555558p-5, 0x1.111111110e9efp-7,
        0x1.6c16c16c1500bp-10, 0x1.a01a01b44afd9p-13, 0x1.a01a01ad76d15p-16, 0x1.71ddee619014ep-19,
        0x1.27e4cc2827b2ep-22, 0x1.af6e9ed00abecp-26, 0x1.1f8bb233a20cfp-29};
};

template <class T>
struct logarithm_table;

template <>
struct logarithm_table<float> {
    alignas(64) static constexpr float tail[4] = {
        0x1.5555000000000p-1f, 0x1.99d27e0000000p-2f, 0x1.1eb6ca0000000p-2f, 0x1.1ef2800000000p-2f};
};

template <>
struct logarithm_table<double> {
    alignas(64) static constexpr double tail[10] = {
        0x1.5555555555534p-1, 0x1.99999999a0933p-2, 0x1.2492492081d79p-2, 0x1.c71c742024665p-3,
        0x1.745cb3a1d3d9bp-3, 0x1.3b1de1054a633p-3, 0x1.10679371b2df3p-3, 0x1.efda2e963675ep-4,
        0x1.55ad18c1716aap-4, 0x1.5c793826fa058p-3};
};

template <class T>
struct arctangent_table;

template <>
struct arctangent_table<float> {
    alignas(64) static constexpr float tail[9] = {
        -0x1.55553c0000000p-2f, 0x1.99917e0000000p-3f, -0x1.241cd00000000p-3f, 0x1.c069b00000000p-4f,
        -0x1.57adee0000000p-4f, 0x1.d90e880000000p-5f, -0x1.fb7a720000000p-6f, 0x1.6229f60000000p-7f,
        -0x1.d01aa80000000p-10f};
};

template <>
struct arctangent_table<double> {
    alignas(64) static constexpr double tail[20] = {
        -0x1.5555555555522p-2, 0x1.9999999995164p-3, -0x1.2492492371733p-3, 0x1.c71c717cddaf8p-4,
        -0x1.745d117d84af6p-4, 0x1.3b13647ab07fcp-4, -0x1.110e4080760efp-4, 0x1.e1bae6ec3e99ep-5,
        -0x1.ae5b36241ef7bp-5, 0x1.82d01d9146ac1p-5, -0x1.5988753a420fdp-5, 0x1.2bf74338df2d6p-5,
        -0x1.e94e0fe7be15fp-6, 0x1.676c587f5ad2fp-6, -0x1.c60bc9d0a1defp-7, 0x1.d59962d2ad472p-8,
        -0x1.780ee16770454p-9, 0x1.b0f185fa67115p-11, -0x1.3c99bdf631f79p-13, 0x1.b7c55a6d9bcd4p-17};
};

template <class T>
struct shrunk_tanh_table;

template <>
struct shrunk_tanh_table<float> {
    alignas(64) static constexpr float tail[5] = {
        -0x1.11110e0000000p-3f, 0x1.ba18b80000000p-5f, -0x1.65deb40000000p-6f, 0x1.1b019a0000000p-7f,
        -0x1.6225be0000000p-9f};
};

template <>
struct shrunk_tanh_table<double> {
    alignas(64) static constexpr double tail[10] = {
        -0x1.11111111110f8p-3, 0x1.ba1ba1ba16e43p-5, -0x1.664f488041c37p-6, 0x1.226e34b70eed9p-7,
        -0x1.d6d39e5b159d6p-9, 0x1.7d9ea79c7f13bp-10, -0x1.350efdb890d0fp-11, 0x1.efc6758471d34p-13,
        -0x1.724cc725c6ea4p-14, 0x1.8242e615124f1p-16};
};

template <class T>
struct gamma_of_two_table;

template <>
struct gamma_of_two_table<float> {
    alignas(64) static constexpr float tail[4] = {
        0x1.5555400000000p-2f, -0x1.fff3680000000p-4f, 0x1.0fe38e0000000p-5f, -0x1.99e7420000000p-8f};
};

template <>
struct gamma_of_two_table<double> {
    alignas(64) static constexpr double tail[9] = {
        0x1.5555555555555p-2, -0x1.fffffffffff22p-4, 0x1.111111110af47p-5, -0x1.c71c71c1ddfbdp-8,
        0x1.38137ff347cd0p-10, -0x1.6c16629ba35e4p-13, 0x1.71cd2af847ce4p-16, -0x1.4b06b23596384p-19,
        0x1.e0631439039cap-23};
};

struct tanh_table {  // columns of 8 rows
    static constexpr float shift = 0.75f;
    alignas(64) static constexpr float column[80] = {
        0x1.7ff8a80000000p+0f, 0x1.3ffdee0000000p+1f, 0x1.e002ce0000000p+1f, 0x1.6ffdbc0000000p+2f,
        0x1.0807ce0000000p+3f, 0x0.0p+0f, 0x1.7ffa760000000p-2f, 0x1.c004940000000p-1f,
        0x1.cf6cf00000000p-1f, 0x1.f9254a0000000p-1f, 0x1.ff6f1e0000000p-1f, 0x1.fffd580000000p-1f,
        0x1.fffffc0000000p-1f, 0x0.0p+0f, 0x1.6ef06a0000000p-2f, 0x1.6868a00000000p-1f,
        -0x1.a3759e0000000p-1f, -0x1.f262120000000p-1f, -0x1.fede640000000p-1f, -0x1.fffab00000000p-1f,
        -0x1.fffff60000000p-1f, 0x0.0p+0f, -0x1.06fa280000000p-3f, -0x1.fb666c0000000p-2f,
        -0x1.4f0b660000000p-3f, -0x1.ade8720000000p-6f, -0x1.2146da0000000p-9f, -0x1.53fa3e0000000p-15f,
        -0x1.7218fe0000000p-22f, 0x0.0p+0f, -0x1.3fd25e0000000p-2f, -0x1.6ba58c0000000p-2f,
        0x1.67bec80000000p-4f, 0x1.16e9760000000p-6f, 0x1.80c2c60000000p-10f, 0x1.c533ec0000000p-16f,
        0x1.1ccb820000000p-23f, -0x1.55551a0000000p-2f, -0x1.6dcc660000000p-3f, 0x1.4f1c1c0000000p-4f,
        -0x1.98eb900000000p-6f, -0x1.07c0820000000p-7f, -0x1.7f62680000000p-11f, -0x1.c5aa5a0000000p-17f,
        0x1.c9a1e00000000p-28f, 0x0.0p+0f, 0x1.58551a0000000p-3f, 0x1.f1f8a00000000p-5f,
        -0x1.5ffe9c0000000p-9f, 0x1.75f84c0000000p-9f, 0x1.31c6e00000000p-12f, 0x1.6d030c0000000p-18f,
        0x1.53dfbe0000000p-25f, 0x1.10e2980000000p-3f, 0x1.303e5c0000000p-6f, -0x1.e178ca0000000p-5f,
        0x1.cf2b2a0000000p-8f, -0x1.73f0520000000p-11f, -0x1.8e58440000000p-14f, -0x1.e1acf20000000p-20f,
        -0x1.e025cc0000000p-25f, 0x0.0p+0f, -0x1.1f773c0000000p-4f, 0x1.a6a0c80000000p-7f,
        -0x1.efa3ea0000000p-9f, 0x1.5d77a20000000p-14f, 0x1.80c0260000000p-16f, 0x1.d74c8e0000000p-22f,
        0x1.6b4b2c0000000p-26f, -0x1.a5865a0000000p-5f, 0x1.2a74940000000p-6f, 0x1.6c131c0000000p-7f,
        0x1.c841360000000p-11f, 0x1.0a00880000000p-17f, -0x1.85a9240000000p-19f, -0x1.e1add00000000p-25f,
        -0x1.623be20000000p-29f, 0x0.0p+0f, 0x1.1b952c0000000p-7f, -0x1.094ba00000000p-7f};
};

struct gelu_table {  // columns of 8 rows
    static constexpr float shift = 1.0f;
    alignas(64) static constexpr float column[80] = {
        0x1.8004560000000p+0f, 0x1.40016a0000000p+1f, 0x1.0000ba0000000p+2f, 0x1.8000c40000000p+2f,
        0x1.1ffc240000000p+3f, 0x1.a003f60000000p+3f, 0x1.00009c0000000p-2f, 0x1.80023e0000000p-1f,
        0x1.a56d340000000p-3f, 0x1.21714a0000000p-3f, 0x1.82b3be0000000p-4f, 0x1.0955880000000p-4f,
        0x1.66d16a0000000p-5f, 0x1.f3d90e0000000p-6f, 0x1.a7f7da0000000p-2f, 0x1.336f5c0000000p-2f,
        -0x1.71bb6a0000000p-4f, -0x1.75a8ec0000000p-5f, -0x1.5cf7c40000000p-6f, -0x1.5067820000000p-7f,
        -0x1.3789320000000p-8f, -0x1.300cf80000000p-9f, -0x1.2e861c0000000p-2f, -0x1.63deec0000000p-3f,
        0x1.203b060000000p-5f, 0x1.bf35760000000p-7f, 0x1.2dd7e20000000p-8f, 0x1.a0ec9c0000000p-10f,
        0x1.0b78500000000p-11f, 0x1.6fd1fe0000000p-13f, 0x1.5c56240000000p-3f, 0x1.5bf5fa0000000p-4f,
        -0x1.9977c40000000p-7f, -0x1.f620f00000000p-9f, -0x1.f6a2280000000p-11f, -0x1.f9cad60000000p-13f,
        -0x1.c6540c0000000p-15f, -0x1.ba800c0000000p-17f, -0x1.594f3a0000000p-4f, -0x1.2c81440000000p-5f,
        0x1.0d58cc0000000p-8f, 0x1.0abd560000000p-10f, 0x1.94375e0000000p-13f, 0x1.2caafc0000000p-15f,
        0x1.7dcd4e0000000p-18f, 0x1.08b8140000000p-20f, 0x1.312d820000000p-5f, 0x1.d684200000000p-7f,
        -0x1.4bb1f40000000p-10f, -0x1.0dfcda0000000p-12f, -0x1.3a62160000000p-15f, -0x1.5e28780000000p-18f,
        -0x1.3cb79c0000000p-21f, -0x1.3b1a5c0000000p-24f, -0x1.eb39fe0000000p-7f, -0x1.54c2de0000000p-8f,
        0x1.825e640000000p-12f, 0x1.05d2260000000p-14f, 0x1.dc11380000000p-18f, 0x1.90979e0000000p-21f,
        0x1.0521ce0000000p-24f, 0x1.75a4a60000000p-28f, 0x1.6ccdc20000000p-8f, 0x1.cdaf420000000p-10f,
        -0x1.bcc38a0000000p-14f, -0x1.ea1a220000000p-17f, -0x1.76b6b00000000p-20f, -0x1.e134960000000p-24f,
        -0x1.d22ba00000000p-28f, -0x1.c281f40000000p-32f, -0x1.08aef00000000p-9f, -0x1.b4411a0000000p-12f,
        0x1.cd1d180000000p-16f, 0x1.a3ed480000000p-19f, 0x1.08c3000000000p-22f, 0x1.11b9d20000000p-26f,
        0x1.73cf660000000p-31f, 0x1.fb42f40000000p-36f, 0x1.9ad3120000000p-11f, 0x1.112fcc0000000p-15f};
};

struct gelu_slope_table {  // columns of 8 rows
    static constexpr double root = 0x1.80ead197f00b4p-1, root_rest = -0x1.13e74c58cada8p-56;
    static constexpr float shift = 1.0f;
    alignas(64) static constexpr float column[72] = {
        0x1.7ffee00000000p+0f, 0x1.4002c40000000p+1f, 0x1.00049a0000000p+2f, 0x1.7ffe620000000p+2f,
        0x1.1ff8f20000000p+3f, 0x1.9ffcaa0000000p+3f, 0x1.fffe840000000p-3f, 0x1.8004480000000p-1f,
        0x1.0cadf40000000p-1f, 0x1.f5685a0000000p-2f, 0x1.d94cf40000000p-2f, 0x1.c665aa0000000p-2f,
        0x1.b8511e0000000p-2f, 0x1.af0aa00000000p-2f, 0x1.40b0d80000000p-1f, 0x1.2525fa0000000p-1f,
        -0x1.853cfe0000000p-5f, -0x1.a6ab700000000p-6f, -0x1.a756f00000000p-7f, -0x1.af4c1e0000000p-8f,
        -0x1.a1fc4a0000000p-9f, -0x1.a525760000000p-10f, -0x1.15a5c00000000p-3f, -0x1.5bb0920000000p-4f,
        0x1.0defe00000000p-6f, 0x1.c777f80000000p-8f, 0x1.4f78220000000p-9f, 0x1.f28e680000000p-11f,
        0x1.5495680000000p-12f, 0x1.ea17d40000000p-14f, 0x1.19c1760000000p-4f, 0x1.2c4bc20000000p-5f,
        -0x1.5c7a380000000p-8f, -0x1.d3b16c0000000p-10f, -0x1.0261620000000p-11f, -0x1.1b9af20000000p-13f,
        -0x1.1347360000000p-15f, -0x1.1bfb020000000p-17f, -0x1.faa2cc0000000p-6f, -0x1.d638220000000p-7f,
        0x1.a6b05c0000000p-10f, 0x1.cbb3ea0000000p-12f, 0x1.830ea00000000p-14f, 0x1.3d9b460000000p-16f,
        0x1.b8a3de0000000p-19f, 0x1.47947a0000000p-21f, 0x1.9d601a0000000p-7f, 0x1.536c780000000p-8f,
        -0x1.e563c80000000p-12f, -0x1.b1e0bc0000000p-14f, -0x1.1af2200000000p-16f, -0x1.5e9f7c0000000p-19f,
        -0x1.5e3b3a0000000p-22f, -0x1.785b460000000p-25f, -0x1.36755a0000000p-8f, -0x1.c9ef4e0000000p-10f,
        0x1.12596c0000000p-13f, 0x1.94d27a0000000p-16f, 0x1.ac7c840000000p-19f, 0x1.8ab5380000000p-22f,
        0x1.2a74ce0000000p-25f, 0x1.c0442c0000000p-29f, 0x1.ba95620000000p-10f, 0x1.25466a0000000p-11f,
        -0x1.2418ae0000000p-15f, -0x1.751f440000000p-18f, -0x1.2be5900000000p-21f, -0x1.a4bacc0000000p-25f,
        -0x1.d89ddc0000000p-29f, -0x1.01e4ba0000000p-32f, -0x1.4fefdc0000000p-11f, -0x1.331f140000000p-13f};
};

struct gelu_polynomial {
    alignas(64) static constexpr double ratio[25] = {
        0x1.82b4bb8c94dcep-1, -0x1.373e3a893c28ap-1, 0x1.8c6dbf2cfc282p-2, -0x1.7dff2bff683a3p-3,
        0x1.eec4cc3e50a4fp-5, -0x1.ee276104800e8p-8, -0x1.c81719d8dacb8p-9, 0x1.ab825fc154e63p-10,
        0x1.17a4b0394e63cp-13, -0x1.e4a42577aa8f9p-13, -0x1.00212a2fde5a3p-19, 0x1.26d097bae922cp-15,
        0x1.80db14cf37185p-21, -0x1.8d4a9343323c0p-18, -0x1.5247b059ce90ap-21, 0x1.122df0a3b839ep-20,
        0x1.2475ecb366ce8p-22, -0x1.4c518ab7427c3p-23, -0x1.7114b45472192p-24, 0x1.c2131712a22adp-27,
        0x1.5625e57badc79p-26, 0x1.12c389ce27d10p-29, -0x1.6784f617425e5p-29, -0x1.96c067b61b627p-31,
        0x1.e17e255c62c7cp-37};
    alignas(64) static constexpr double slope[24] = {
        0x1.d94de78425463p-2, -0x1.a763001ac67dep-4, 0x1.ef4ff80137931p-5, -0x1.cc1e2623d90cap-6,
        0x1.37754d816f874p-7, -0x1.d4c8222acc765p-10, -0x1.443f63f1aa584p-13, 0x1.85999c3f1b154p-13,
        -0x1.25380d8aee2bbp-16, -0x1.2e93843eabfa1p-16, 0x1.dafb196d9f6d6p-19, 0x1.2987e816e67cdp-19,
        -0x1.083078c29c223p-21, -0x1.773a2a04cd0e3p-22, 0x1.c02f8a2ff0e64p-25, 0x1.1025fc367ec44p-24,
        -0x1.7f4a568bba031p-32, -0x1.8699cc6b9d1fap-27, -0x1.2dda32becc564p-29, 0x1.b3974d1e5b51cp-30,
        0x1.bf2756387831ap-31, -0x1.7c1a9b39d7d59p-35, -0x1.2f0d4c5751e97p-33, -0x1.2bd66c4bf4999p-35};
};

}  // namespace rectified::RECTIFIED_TARGET
