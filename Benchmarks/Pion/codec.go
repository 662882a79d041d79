package main

/*
#cgo pkg-config: opus speexdsp
#include <opus.h>
#include <speex/speex_resampler.h>
#include <stdlib.h>

enum { RATE = 48000, FRAME = 960, THIRD = FRAME / 3, LONGEST = 5760, PACKET = 400 };

typedef struct {
	OpusDecoder *decoder;
	OpusEncoder *encoder;
	SpeexResamplerState *down, *up;
	opus_int16 heard[LONGEST], low[LONGEST / 3], said[LONGEST];
} Codec;

static void stop(Codec *codec) {
	if (codec->decoder) opus_decoder_destroy(codec->decoder);
	if (codec->encoder) opus_encoder_destroy(codec->encoder);
	if (codec->down) speex_resampler_destroy(codec->down);
	if (codec->up) speex_resampler_destroy(codec->up);
}

static int start(Codec *codec) {
	int code;
	codec->decoder = opus_decoder_create(RATE, 1, &code);
	codec->encoder = opus_encoder_create(RATE, 1, OPUS_APPLICATION_VOIP, &code);
	codec->down = speex_resampler_init(1, RATE, 16000, 5, &code);
	codec->up = speex_resampler_init(1, 16000, RATE, 5, &code);
	if (!codec->decoder || !codec->encoder || !codec->down || !codec->up) return 0;
	opus_encoder_ctl(codec->encoder, OPUS_SET_COMPLEXITY(5));
	opus_encoder_ctl(codec->encoder, OPUS_SET_BITRATE(32000));
	opus_encoder_ctl(codec->encoder, OPUS_SET_VBR(1));
	opus_encoder_ctl(codec->encoder, OPUS_SET_VBR_CONSTRAINT(1));
	opus_encoder_ctl(codec->encoder, OPUS_SET_LSB_DEPTH(16));
	return 1;
}

// The packet that answers one; negative when there is none.
static int answer(Codec *codec, const unsigned char *in, int size, unsigned char *out) {
	if (opus_decode(codec->decoder, in, size, codec->heard, LONGEST, 0) != FRAME) return -1;
	spx_uint32_t read = FRAME, written = THIRD;
	speex_resampler_process_int(codec->down, 0, codec->heard, &read, codec->low, &written);
	read = THIRD, written = FRAME;
	speex_resampler_process_int(codec->up, 0, codec->low, &read, codec->said, &written);
	return opus_encode(codec->encoder, codec->said, FRAME, out, PACKET);
}
*/
import "C"

import (
	"errors"
	"io"
	"unsafe"

	"github.com/pion/rtp"
	"github.com/pion/webrtc"
)

// Sends back what comes in, packet for packet, until the track ends.
func echo(track *webrtc.TrackRemote, back *webrtc.TrackLocalStaticRTP) error {
	codec := (*C.Codec)(C.calloc(1, C.sizeof_Codec))
	defer func() {
		C.stop(codec)
		C.free(unsafe.Pointer(codec))
	}()
	if C.start(codec) == 0 {
		return errors.New("no codec")
	}
	answered := make([]byte, C.PACKET)
	number := uint16(0)
	for {
		packet, _, err := track.ReadRTP()
		if err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if len(packet.Payload) == 0 {
			continue
		}
		size := C.answer(
			codec, (*C.uchar)(unsafe.Pointer(&packet.Payload[0])), C.int(len(packet.Payload)),
			(*C.uchar)(unsafe.Pointer(&answered[0])))
		if size < 0 {
			continue
		}
		number++
		header := rtp.Header{Version: 2, SequenceNumber: number, Timestamp: packet.Timestamp, Marker: number == 1}
		if err := back.WriteRTP(&rtp.Packet{Header: header, Payload: answered[:size]}); err != nil {
			return err
		}
	}
}
