// A bot of the dialect `pcm` that sends back at once what it hears, and knows how long it had each message: from when the
// kernel got it, not from when this program came to read it, until it was written.
//
// At /probe it also measures the gateway, with every 25th message of a call: right behind the sound, in the same packet, it
// sets a mark and takes all marks back. The gateway tells so when it has queued the sound and read these two, and does not
// wait until the sound is played.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"github.com/gorilla/websocket"
)

const probeEvery = 25

func main() {
	// Connections have it from the one that they come in by.
	stamps := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var refused error
		err := raw.Control(func(fd uintptr) {
			refused = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_TIMESTAMPNS, 1)
		})
		if err == nil {
			err = refused
		}
		return err
	}}
	listener, err := stamps.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	upgrader := websocket.Upgrader{Subprotocols: []string{"audio.jambonz.org"}}
	serve := func(probes bool) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			socket, err := upgrader.Upgrade(w, r, nil)
			if err != nil {
				return
			}
			defer socket.Close()
			if err := echo(socket, probes); !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
				log.Print(err)
			}
		}
	}
	http.HandleFunc("/", serve(false))
	http.HandleFunc("/probe", serve(true))
	http.HandleFunc("/figures", func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(figures.take())
	})
	fmt.Printf("listening on %s\n", listener.Addr())
	log.Fatal(http.Serve(stamping{listener}, nil))
}

// One call: everything it says comes back.
func echo(socket *websocket.Conn, probes bool) error {
	connection := socket.UnderlyingConn().(*stamped)
	sound := make([]byte, 8192)
	var probed time.Time // when, while the answer is awaited
	for heard := number(); ; {
		kind, reader, err := socket.NextReader()
		if err != nil {
			return err
		}
		count, err := io.ReadFull(reader, sound)
		if err != io.EOF && err != io.ErrUnexpectedEOF {
			return fmt.Errorf("a message of over %d bytes, or none: %v", len(sound), err)
		}
		arrived := connection.arrived
		if kind == websocket.TextMessage {
			if !probed.IsZero() {
				var answer struct{ Data struct{ Event string } }
				_ = json.Unmarshal(sound[:count], &answer)
				figures.answered(answer.Data.Event == "cleared", arrived.Sub(probed))
				probed = time.Time{}
			}
			continue
		}
		heard++
		begun := time.Now()
		asks := probes && heard%probeEvery == 0 && probed.IsZero()
		connection.holds = asks
		if err := socket.WriteMessage(websocket.BinaryMessage, sound[:count]); err != nil {
			return err
		}
		if asks {
			for _, text := range []string{`{"type":"mark","data":{"name":"probe"}}`, `{"type":"clearMarks"}`} {
				if err := socket.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
					return err
				}
			}
			probed = begun
			if err := connection.release(); err != nil {
				return err
			}
		}
		figures.echoed(time.Since(arrived))
	}
}

// What was measured since it was last asked for, in milliseconds.
type Figures struct {
	// From a message's arrival until its echo was written.
	Held []float32 `json:"held"`
	// From the writing of a sound until the arrival of the answer to what stood behind it.
	Answered []float32 `json:"answered"`
	// How many of these came when the sound was played, and not before.
	Late int `json:"late"`
	lock sync.Mutex
	// Calls ever, so that not all probe at once.
	calls int
}

var figures = Figures{Held: []float32{}, Answered: []float32{}}

func milliseconds(duration time.Duration) float32 { return float32(duration.Microseconds()) / 1000 }

func number() int {
	figures.lock.Lock()
	defer figures.lock.Unlock()
	figures.calls++
	return figures.calls
}

func (f *Figures) echoed(after time.Duration) {
	f.lock.Lock()
	defer f.lock.Unlock()
	f.Held = append(f.Held, milliseconds(after))
}

func (f *Figures) answered(inTime bool, after time.Duration) {
	f.lock.Lock()
	defer f.lock.Unlock()
	f.Answered = append(f.Answered, milliseconds(after))
	if !inTime {
		f.Late++
	}
}

func (f *Figures) take() *Figures {
	f.lock.Lock()
	defer f.lock.Unlock()
	taken := &Figures{Held: f.Held, Answered: f.Answered, Late: f.Late}
	f.Held, f.Answered, f.Late = []float32{}, []float32{}, 0
	return taken
}

// Hands out connections that know when what they read had arrived.
type stamping struct{ net.Listener }

func (s stamping) Accept() (net.Conn, error) {
	accepted, err := s.Listener.Accept()
	if err != nil {
		return nil, err
	}
	made := &stamped{TCPConn: accepted.(*net.TCPConn)}
	made.raw, err = made.SyscallConn()
	return made, err
}

// `arrived` is when the kernel had the last of what was read. While it `holds`, what is written waits to leave at once.
type stamped struct {
	*net.TCPConn
	raw     syscall.RawConn
	control [64]byte
	arrived time.Time
	holds   bool
	held    []byte
}

func (s *stamped) Read(bytes []byte) (int, error) {
	var count, controls int
	var failed error
	err := s.raw.Read(func(fd uintptr) bool {
		for {
			count, controls, _, _, failed = syscall.Recvmsg(int(fd), bytes, s.control[:], 0)
			if failed != syscall.EINTR {
				return failed != syscall.EAGAIN
			}
		}
	})
	if err == nil {
		err = failed
	}
	if err != nil {
		return 0, err
	}
	if count == 0 && len(bytes) > 0 {
		return 0, io.EOF
	}
	messages, err := syscall.ParseSocketControlMessage(s.control[:controls])
	if err != nil || len(messages) != 1 || messages[0].Header.Type != syscall.SCM_TIMESTAMPNS {
		return 0, fmt.Errorf("the kernel does not tell when bytes arrived: %v %v", messages, err)
	}
	stamp := *(*syscall.Timespec)(unsafe.Pointer(&messages[0].Data[0]))
	s.arrived = time.Unix(stamp.Unix())
	return count, nil
}

func (s *stamped) Write(bytes []byte) (int, error) {
	if s.holds {
		s.held = append(s.held, bytes...)
		return len(bytes), nil
	}
	return s.TCPConn.Write(bytes)
}

func (s *stamped) release() error {
	_, err := s.TCPConn.Write(s.held)
	s.holds, s.held = false, s.held[:0]
	return err
}
