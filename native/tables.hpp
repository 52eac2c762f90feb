// Written by tools/tables.py. Do not edit.
// clang-format off
#pragma once

namespace rectified::RECTIFIED_TARGET {

template <class T>
struct exponential_table;

template <>
struct exponential_table<float> {
    static constexpr float steps_per_unit = 0x1.7154760000000p+4f;
    static constexpr float step_high = 0x1.62e0000000000p-5f;
    static constexpr float step_low = 0x1.0bfbe80000000p-19f;
    alignas(64) static constexpr float power_high[16] = {
        0x1.0000000000000p+0f, 0x1.0b55860000000p+0f, 0x1.172b840000000p+0f, 0x1.2387a60000000p+0f,
        0x1.306fe00000000p+0f, 0x1.3dea640000000p+0f, 0x1.4bfdae0000000p+0f, 0x1.5ab07e0000000p+0f,
        0x1.6a09e60000000p+0f, 0x1.7a11480000000p+0f, 0x1.8ace540000000p+0f, 0x1.9c49180000000p+0f,
        0x1.ae89fa0000000p+0f, 0x1.c199be0000000p+0f, 0x1.d5818e0000000p+0f, 0x1.ea4afa0000000p+0f};
    alignas(64) static constexpr float power_low[16] = {
        0x0.0p+0f, 0x1.9f31220000000p-25f, -0x1.c157420000000p-27f, 0x1.ceac480000000p-25f,
        0x1.4636e20000000p-25f, 0x1.8246840000000p-25f, -0x1.593abc0000000p-25f, -0x1.5bd5ec0000000p-27f,
        0x1.9fcef40000000p-26f, -0x1.829fd00000000p-25f, 0x1.15506e0000000p-27f, 0x1.51f8480000000p-27f,
        -0x1.a94b140000000p-26f, -0x1.3d56b20000000p-27f, -0x1.822dbc0000000p-27f, 0x1.52486c0000000p-27f};
    alignas(64) static constexpr float tail[2] = {
        0x1.0002220000000p-1f, 0x1.5557200000000p-3f};
    alignas(64) static constexpr float relative_tail[3] = {
        0x1.0000000000000p-1f, 0x1.55570a0000000p-3f, 0x1.5556880000000p-5f};
    alignas(64) static constexpr float whole_tail[5] = {
        0x1.0000000000000p-1f, 0x1.55548c0000000p-3f, 0x1.5554e40000000p-5f, 0x1.123d020000000p-7f,
        0x1.6d514a0000000p-10f};
};

template <>
struct exponential_table<double> {
    static constexpr double steps_per_unit = 0x1.71547652b82fep+4;
    static constexpr double step_high = 0x1.62e42fefa0000p-5;
    static constexpr double step_low = 0x1.cf79abc9e3b3ap-44;
    alignas(64) static constexpr double power_high[16] = {
        0x1.0000000000000p+0, 0x1.0b5586cf9890fp+0, 0x1.172b83c7d517bp+0, 0x1.2387a6e756238p+0,
        0x1.306fe0a31b715p+0, 0x1.3dea64c123422p+0, 0x1.4bfdad5362a27p+0, 0x1.5ab07dd485429p+0,
        0x1.6a09e667f3bcdp+0, 0x1.7a11473eb0187p+0, 0x1.8ace5422aa0dbp+0, 0x1.9c49182a3f090p+0,
        0x1.ae89f995ad3adp+0, 0x1.c199bdd85529cp+0, 0x1.d5818dcfba487p+0, 0x1.ea4afa2a490dap+0};
    alignas(64) static constexpr double power_low[16] = {
        0x0.0p+0, 0x1.8a62e4adc610bp-54, -0x1.19041b9d78a76p-55, 0x1.9b07eb6c70573p-54,
        0x1.6f46ad23182e4p-55, 0x1.ada0911f09ebcp-55, 0x1.d4397afec42e2p-56, 0x1.6324c054647adp-54,
        -0x1.bdd3413b26456p-54, -0x1.41577ee04992fp-55, 0x1.6e9f156864b27p-54, 0x1.c7c46b071f2bep-56,
        0x1.7a1cd345dcc81p-54, 0x1.11065895048ddp-55, 0x1.2ed02d75b3707p-55, -0x1.e9c23179c2893p-54};
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
        0x1.3ffaae0000000p+0f, 0x1.2004d80000000p+1f, 0x1.bffd080000000p+1f, 0x1.5ff9600000000p+2f,
        0x1.00051c0000000p+3f, 0x1.7fff9a0000000p+3f, 0x1.0001220000000p-3f, 0x1.4000080000000p-1f,
        0x1.d89d920000000p-3f, 0x1.3aa9be0000000p-3f, 0x1.b399840000000p-4f, 0x1.2024c60000000p-4f,
        0x1.9261a60000000p-5f, 0x1.0e7e140000000p-5f, 0x1.d0aefa0000000p-2f, 0x1.4b1dde0000000p-2f,
        -0x1.c49b040000000p-4f, -0x1.b3fb4a0000000p-5f, -0x1.b608660000000p-6f, -0x1.8b26fe0000000p-7f,
        -0x1.86a9540000000p-8f, -0x1.63d0820000000p-9f, -0x1.5e6e320000000p-2f, -0x1.9323460000000p-3f,
        0x1.7b82be0000000p-5f, 0x1.15a10e0000000p-6f, 0x1.a2a58e0000000p-8f, 0x1.07f1420000000p-9f,
        0x1.7610760000000p-11f, 0x1.d0fcc80000000p-13f, 0x1.a4e1020000000p-3f, 0x1.9a45a60000000p-4f,
        -0x1.1f3cca0000000p-6f, -0x1.49adc40000000p-8f, -0x1.7e89160000000p-10f, -0x1.5816400000000p-12f,
        -0x1.616e680000000p-14f, -0x1.2de06a0000000p-16f, -0x1.b02b2a0000000p-4f, -0x1.6e938a0000000p-5f,
        0x1.900c540000000p-8f, 0x1.70be060000000p-10f, 0x1.4fce120000000p-12f, 0x1.b66e3e0000000p-15f,
        0x1.49cee20000000p-17f, 0x1.8583a40000000p-20f, 0x1.89e2840000000p-5f, 0x1.27c9400000000p-6f,
        -0x1.039d360000000p-9f, -0x1.86fc4a0000000p-12f, -0x1.1c97ee0000000p-14f, -0x1.1174060000000p-17f,
        -0x1.30796c0000000p-20f, -0x1.f3f6b20000000p-24f, -0x1.45d4540000000p-6f, -0x1.b55be20000000p-8f,
        0x1.396c800000000p-11f, 0x1.83ca7a0000000p-14f, 0x1.ce3fc80000000p-17f, 0x1.4c3edc0000000p-20f,
        0x1.115c500000000p-23f, 0x1.3e61360000000p-27f, 0x1.e9d5ea0000000p-8f, 0x1.1357d60000000p-9f,
        -0x1.4604e20000000p-13f, -0x1.42ac5a0000000p-16f, -0x1.4596f40000000p-19f, -0x1.6df1020000000p-23f,
        -0x1.a4d0540000000p-27f, -0x1.76f43a0000000p-31f, -0x1.31a3f20000000p-9f, -0x1.5b00d20000000p-13f,
        0x1.a5752a0000000p-16f, 0x1.343ba80000000p-19f, 0x1.12963a0000000p-22f, 0x1.054e7e0000000p-26f,
        0x1.7753a40000000p-31f, 0x1.1fad2c0000000p-35f, 0x1.a9b9160000000p-12f, -0x1.6250400000000p-12f};
};

struct gelu_slope_table {  // columns of 8 rows
    static constexpr double root = 0x1.80ead197f00b4p-1, root_rest = -0x1.13e74c58cada8p-56;
    static constexpr float shift = 1.0f;
    alignas(64) static constexpr float column[72] = {
        0x1.3fff9c0000000p+0f, 0x1.1ff9060000000p+1f, 0x1.c0035e0000000p+1f, 0x1.6006ae0000000p+2f,
        0x1.0006f00000000p+3f, 0x1.8001d40000000p+3f, 0x1.ffffce0000000p-4f, 0x1.4003200000000p-1f,
        0x1.1355920000000p-1f, 0x1.fc7efe0000000p-2f, 0x1.e0a49a0000000p-2f, 0x1.ca06540000000p-2f,
        0x1.bbf2060000000p-2f, 0x1.b0d07c0000000p-2f, 0x1.49f3300000000p-1f, 0x1.2ae3c40000000p-1f,
        -0x1.d1cade0000000p-5f, -0x1.e5a6ac0000000p-6f, -0x1.04885a0000000p-6f, -0x1.f4dd260000000p-8f,
        -0x1.02e67c0000000p-8f, -0x1.e9b7da0000000p-10f, -0x1.3c0c880000000p-3f, -0x1.8428ee0000000p-4f,
        0x1.5a80680000000p-6f, 0x1.159d4e0000000p-7f, 0x1.c5c2700000000p-9f, 0x1.36c7e80000000p-10f,
        0x1.d43dd40000000p-12f, 0x1.32f4fe0000000p-13f, 0x1.4e807a0000000p-4f, 0x1.5ca84c0000000p-5f,
        -0x1.dc190e0000000p-8f, -0x1.2cf71a0000000p-9f, -0x1.7e1f760000000p-11f, -0x1.7abdb20000000p-13f,
        -0x1.a350f00000000p-15f, -0x1.7ef7ee0000000p-17f, -0x1.37a51a0000000p-5f, -0x1.1a65440000000p-6f,
        0x1.31c36c0000000p-9f, 0x1.3738340000000p-11f, 0x1.383c4a0000000p-13f, 0x1.c5bc3c0000000p-16f,
        0x1.747aaa0000000p-18f, 0x1.dbc48c0000000p-21f, 0x1.066ab60000000p-6f, 0x1.a442d80000000p-8f,
        -0x1.714b360000000p-11f, -0x1.3416440000000p-13f, -0x1.ed5bce0000000p-16f, -0x1.0a65820000000p-18f,
        -0x1.458e640000000p-21f, -0x1.2526be0000000p-24f, -0x1.952b0e0000000p-8f, -0x1.21738a0000000p-9f,
        0x1.8fa72c0000000p-13f, 0x1.1a50500000000p-15f, 0x1.5af0f80000000p-18f, 0x1.2088e80000000p-21f,
        0x1.f8e1840000000p-25f, 0x1.4f22740000000p-28f, 0x1.153e260000000p-9f, 0x1.59a6480000000p-11f,
        -0x1.1dd2ce0000000p-15f, -0x1.6c38880000000p-18f, -0x1.2eab140000000p-21f, -0x1.a0b6820000000p-25f,
        -0x1.d7c29e0000000p-29f, -0x1.faa2080000000p-33f, -0x1.fe8a240000000p-12f, -0x1.dab47e0000000p-14f};
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
