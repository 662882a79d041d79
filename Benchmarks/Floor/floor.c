// What the libraries alone cost: N calls' worth of SRTP, Opus and resampling on one thread, with nothing around them.
//
//   floor SPEECH.wav CALLS SECONDS IN_COMPLEXITY RESAMPLE(0|1) FEC_LOSS_PERCENT PACED(0|1) WIDEBAND(0|1)
//
// The streams take turns, one 20 ms frame each, so that the caches see what they see in calls. Paced, the thread sleeps
// until a stream's frame is due, as it must in calls; otherwise it goes on at once. With WIDEBAND what it encodes has no
// more than 8 kHz of sound, as that of a pipeline at 16 kHz. Prints JSON.
#include <opus.h>
#include <speex/speex_resampler.h>
#include <srtp2/srtp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { RATE = 48000, FRAME = 960, THIRD = FRAME / 3, HEADER = 12, TAG = 16, ROOM = 512 };

static void fail(const char *what) {
    fprintf(stderr, "floor: %s\n", what);
    exit(1);
}

static void *need(void *pointer) {
    if (!pointer) fail("out of memory");
    return pointer;
}

static void ok(int code, const char *what) {
    if (code) fail(what);
}

// Samples of a mono WAV file of 48 kHz and 16 bit, as sox writes it.
static int16_t *speech(const char *path, int *frames) {
    FILE *file = fopen(path, "rb");
    if (!file) fail("no such WAV file");
    unsigned char head[12], chunk[8];
    if (fread(head, 1, 12, file) != 12 || memcmp(head + 8, "WAVE", 4)) fail("not a WAV file");
    while (fread(chunk, 1, 8, file) == 8) {
        uint32_t size = chunk[4] | chunk[5] << 8 | chunk[6] << 16 | (uint32_t)chunk[7] << 24;
        if (!memcmp(chunk, "data", 4)) {
            int16_t *samples = need(malloc(size));
            size_t count = fread(samples, 2, size / 2, file);
            fclose(file);
            *frames = (int)(count / FRAME);
            return samples;
        }
        fseek(file, size + (size & 1), SEEK_CUR);
    }
    fail("a WAV file without data");
    return NULL;
}

static OpusEncoder *encoder(int complexity, int loss, int wideband) {
    int code;
    OpusEncoder *made = opus_encoder_create(RATE, 1, OPUS_APPLICATION_VOIP, &code);
    ok(code, "no encoder");
    opus_encoder_ctl(made, OPUS_SET_COMPLEXITY(complexity));
    opus_encoder_ctl(made, OPUS_SET_BITRATE(32000));
    opus_encoder_ctl(made, OPUS_SET_VBR(1));
    opus_encoder_ctl(made, OPUS_SET_VBR_CONSTRAINT(1));
    opus_encoder_ctl(made, OPUS_SET_LSB_DEPTH(16));
    opus_encoder_ctl(made, OPUS_SET_MAX_BANDWIDTH(wideband ? OPUS_BANDWIDTH_WIDEBAND : OPUS_BANDWIDTH_FULLBAND));
    opus_encoder_ctl(made, OPUS_SET_INBAND_FEC(loss > 0));
    opus_encoder_ctl(made, OPUS_SET_PACKET_LOSS_PERC(loss));
    return made;
}

static srtp_t session(uint32_t ssrc, srtp_ssrc_type_t direction, int stream) {
    static unsigned char key[28];
    for (int index = 0; index < 28; index++) key[index] = (unsigned char)(index * 7 + stream);
    srtp_policy_t policy;
    memset(&policy, 0, sizeof policy);
    srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtp);
    srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtcp);
    policy.ssrc.type = direction;
    policy.ssrc.value = ssrc;
    policy.key = key;
    policy.window_size = 128;
    srtp_t made;
    ok(srtp_create(&made, &policy), "no SRTP session");
    return made;
}

static void header(unsigned char *packet, int number, uint32_t ssrc) {
    uint32_t time = (uint32_t)number * FRAME;
    unsigned char made[HEADER] = {
        0x80, 111, (unsigned char)(number >> 8), (unsigned char)number,
        (unsigned char)(time >> 24), (unsigned char)(time >> 16), (unsigned char)(time >> 8), (unsigned char)time,
        (unsigned char)(ssrc >> 24), (unsigned char)(ssrc >> 16), (unsigned char)(ssrc >> 8), (unsigned char)ssrc};
    memcpy(packet, made, HEADER);
}

typedef struct {
    srtp_t in, out;
    OpusDecoder *decoder;
    OpusEncoder *encoder;
    SpeexResamplerState *down, *up;
    unsigned char (*packets)[ROOM];
    int *sizes;
} Stream;

static double now(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

// Sleeps until so many nanoseconds after a start.
static void await(struct timespec start, long long offset) {
    long long nanoseconds = start.tv_nsec + offset;
    struct timespec due = {start.tv_sec + nanoseconds / 1000000000, nanoseconds % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL)) {}
}

int main(int count, char **arguments) {
    if (count != 9) fail("SPEECH.wav CALLS SECONDS IN_COMPLEXITY RESAMPLE FEC_LOSS_PERCENT PACED WIDEBAND");
    int frames, code;
    int16_t *samples = speech(arguments[1], &frames);
    int calls = atoi(arguments[2]), rounds = atoi(arguments[3]) * 50, complexity = atoi(arguments[4]);
    int resample = atoi(arguments[5]), loss = atoi(arguments[6]), paced = atoi(arguments[7]);
    int wideband = atoi(arguments[8]);
    if (frames < 50 || calls < 1 || rounds < 1) fail("too little to do");
    ok(srtp_init(), "no libsrtp2");

    // The speech as callers send it, once over.
    unsigned char (*encoded)[ROOM] = need(calloc((size_t)frames, ROOM));
    int *lengths = need(calloc((size_t)frames, sizeof(int)));
    OpusEncoder *sender = encoder(complexity, loss, 0);
    for (int frame = 0; frame < frames; frame++) {
        lengths[frame] = opus_encode(sender, samples + frame * FRAME, FRAME, encoded[frame], 400);
        if (lengths[frame] < 0) fail("a frame was not encoded");
    }

    // Each stream starts elsewhere in it, and has its packets protected beforehand.
    int warm = 50;
    Stream *streams = need(calloc((size_t)calls, sizeof(Stream)));
    for (int number = 0; number < calls; number++) {
        Stream *stream = &streams[number];
        stream->in = session(0, ssrc_any_inbound, number);
        stream->out = session(0, ssrc_any_outbound, number);
        stream->decoder = opus_decoder_create(RATE, 1, &code);
        ok(code, "no decoder");
        stream->encoder = encoder(5, loss, wideband);
        if (resample) {
            stream->down = need(speex_resampler_init(1, RATE, 16000, 5, &code));
            stream->up = need(speex_resampler_init(1, 16000, RATE, 5, &code));
        }
        stream->packets = need(calloc((size_t)(warm + rounds), ROOM));
        stream->sizes = need(calloc((size_t)(warm + rounds), sizeof(int)));
        srtp_t theirs = session(0, ssrc_any_outbound, number);
        for (int round = 0; round < warm + rounds; round++) {
            int frame = (round + number * 37) % frames, size = HEADER + lengths[frame];
            header(stream->packets[round], round + 1, 1000u + (unsigned)number);
            memcpy(stream->packets[round] + HEADER, encoded[frame], (size_t)lengths[frame]);
            ok(srtp_protect(theirs, stream->packets[round], &size), "a packet was not protected");
            stream->sizes[round] = size;
        }
        srtp_dealloc(theirs);
    }

    static int16_t heard[5760], low[THIRD], said[FRAME];
    static unsigned char packet[ROOM];
    double start = 0, wall = 0;
    long bytes = 0;
    struct timespec begin;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (int round = 0; round < warm + rounds; round++) {
        if (round == warm) {
            start = now(CLOCK_THREAD_CPUTIME_ID);
            wall = now(CLOCK_MONOTONIC);
        }
        for (int number = 0; number < calls; number++) {
            if (paced) await(begin, (round * 20000000LL) + number * 20000000LL / calls);
            Stream *stream = &streams[number];
            int size = stream->sizes[round];
            ok(srtp_unprotect(stream->in, stream->packets[round], &size), "a packet was not authentic");
            if (opus_decode(stream->decoder, stream->packets[round] + HEADER, size - HEADER, heard, 5760, 0) != FRAME)
                fail("a packet was not decoded");
            int16_t *pcm = heard;
            if (resample) {
                spx_uint32_t read = FRAME, written = THIRD;
                speex_resampler_process_int(stream->down, 0, heard, &read, low, &written);
                read = THIRD, written = FRAME;
                speex_resampler_process_int(stream->up, 0, low, &read, said, &written);
                pcm = said;
            }
            header(packet, round + 1, 5000u + (unsigned)number);
            size = opus_encode(stream->encoder, pcm, FRAME, packet + HEADER, 400);
            if (size < 0) fail("a frame was not encoded");
            size += HEADER;
            ok(srtp_protect(stream->out, packet, &size), "a packet was not protected");
            bytes += size;
        }
    }
    double spent = now(CLOCK_THREAD_CPUTIME_ID) - start;
    wall = now(CLOCK_MONOTONIC) - wall;
    double audio = rounds / 50.0 * calls;
    printf(
        "{\"calls\": %d, \"resample\": %s, \"fec\": %s, \"paced\": %s, \"wideband\": %s, \"cpu_percent_per_call\": %.4f, "
        "\"wall_percent_per_call\": %.4f, \"us_per_frame\": %.2f, \"bytes_per_packet\": %.1f}\n",
        calls, resample ? "true" : "false", loss ? "true" : "false", paced ? "true" : "false", wideband ? "true" : "false",
        spent / audio * 100, wall / audio * 100, spent / audio / 50 * 1e6, (double)bytes / rounds / calls);
    return 0;
}
