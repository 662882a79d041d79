// An echo of Pion, libopus and speexdsp, as bare as a peer can be: decode, 48 to 16 to 48 kHz, encode, write at once. No
// jitter buffer, no concealment, no pacing. It speaks enough of the gateway's signaling for `patchbay call`.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"sync"

	"github.com/gorilla/websocket"
	"github.com/pion/ice/v2"
	"github.com/pion/interceptor"
	"github.com/pion/webrtc"
)

type message struct {
	Type    string          `json:"type"`
	Payload json.RawMessage `json:"payload"`
}

type payload struct {
	PeerID    string                   `json:"pc_id"`
	SDP       string                   `json:"sdp,omitempty"`
	Type      string                   `json:"type,omitempty"`
	Candidate *webrtc.ICECandidateInit `json:"candidate,omitempty"`
}

// A socket that several goroutines write to.
type socket struct {
	*websocket.Conn
	writing sync.Mutex
}

func (s *socket) send(kind string, content interface{}) {
	s.writing.Lock()
	defer s.writing.Unlock()
	_ = s.WriteJSON(map[string]interface{}{"type": kind, "payload": content})
}

func main() {
	ports := flag.String("ports", "21000-21999", "UDP ports")
	flag.Parse()
	var first, last uint16
	if _, err := fmt.Sscanf(*ports, "%d-%d", &first, &last); err != nil {
		log.Fatal(err)
	}
	api, err := newAPI(first, last)
	if err != nil {
		log.Fatal(err)
	}
	upgrader := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		serve(api, &socket{Conn: conn})
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("listening on %s\n", listener.Addr())
	log.Fatal(http.Serve(listener, nil))
}

func newAPI(first, last uint16) (*webrtc.API, error) {
	media := &webrtc.MediaEngine{}
	if err := media.RegisterDefaultCodecs(); err != nil {
		return nil, err
	}
	registry := &interceptor.Registry{}
	if err := webrtc.RegisterDefaultInterceptors(media, registry); err != nil {
		return nil, err
	}
	settings := webrtc.SettingEngine{}
	if err := settings.SetEphemeralUDPPortRange(first, last); err != nil {
		return nil, err
	}
	settings.SetIncludeLoopbackCandidate(true)
	settings.SetInterfaceFilter(func(name string) bool { return name == "lo" })
	settings.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	settings.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	return webrtc.NewAPI(
		webrtc.WithMediaEngine(media), webrtc.WithInterceptorRegistry(registry), webrtc.WithSettingEngine(settings)), nil
}

// One call: from its offer until its socket closes.
func serve(api *webrtc.API, client *socket) {
	var peer *webrtc.PeerConnection
	var early []webrtc.ICECandidateInit
	for {
		var received message
		if err := client.ReadJSON(&received); err != nil {
			break
		}
		var content payload
		if err := json.Unmarshal(received.Payload, &content); err != nil {
			break
		}
		switch {
		case received.Type == "offer" && peer == nil:
			made, err := answer(api, client, content)
			if err != nil {
				client.send("error", map[string]string{"message": err.Error()})
				return
			}
			peer = made
			for _, candidate := range early {
				_ = peer.AddICECandidate(candidate)
			}
		case received.Type == "ice-candidate" && content.Candidate != nil:
			if peer == nil {
				early = append(early, *content.Candidate)
			} else {
				_ = peer.AddICECandidate(*content.Candidate)
			}
		}
	}
	if peer != nil {
		_ = peer.Close()
	}
}

func answer(api *webrtc.API, client *socket, offer payload) (*webrtc.PeerConnection, error) {
	peer, err := api.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return nil, err
	}
	capability := webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2}
	back, err := webrtc.NewTrackLocalStaticRTP(capability, "echo", "echo")
	if err != nil {
		return peer, err
	}
	sender, err := peer.AddTrack(back)
	if err != nil {
		return peer, err
	}
	go func() { // so that the interceptors see RTCP
		buffer := make([]byte, 1500)
		for {
			if _, _, err := sender.Read(buffer); err != nil {
				return
			}
		}
	}()
	peer.OnICECandidate(func(candidate *webrtc.ICECandidate) {
		if candidate == nil {
			client.send("ice-candidate", map[string]interface{}{"pc_id": offer.PeerID, "candidate": nil})
			return
		}
		client.send("ice-candidate", map[string]interface{}{"pc_id": offer.PeerID, "candidate": candidate.ToJSON()})
	})
	peer.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		if err := echo(track, back); err != nil {
			log.Print(err)
		}
	})
	if err := peer.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer.SDP}); err != nil {
		return peer, err
	}
	local, err := peer.CreateAnswer(nil)
	if err != nil {
		return peer, err
	}
	client.send("answer", map[string]string{"pc_id": offer.PeerID, "type": "answer", "sdp": local.SDP})
	return peer, peer.SetLocalDescription(local)
}
