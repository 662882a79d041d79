// A bot of the dialect `pcm` that sends back at once what it hears, and knows how long it had each message: from when the
// kernel got it, not from when this program came to read it, until it was written.
//
// At /probe it also measures the gateway, with every 25th message of a call. It is a second ahead there, so that a mark waits
// as long, and takes the last one back right before a sound, in the same packet. The gateway says so as soon as its pipeline
// reads that, which is when it would read the sound, and does not wait until anything is played.
package main

import (
	"bytes"
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

const (
	probeEvery = 25
	ahead      = 50 // messages of 20 ms
)

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
	marked := false
	var probed time.Time // when, while the answer is awaited
	for first, heard := true, number(); ; {
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
			var answer struct{ Data struct{ Event string } }
			_ = json.Unmarshal(sound[:count], &answer)
			switch {
			case answer.Data.Event == "playout":
				figures.late()
				marked, probed = false, time.Time{}
			case answer.Data.Event == "cleared" && !probed.IsZero():
				figures.answered(arrived.Sub(probed))
				probed = time.Time{}
			}
			continue
		}
		heard++
		asks := probes && heard%probeEvery == 0 && probed.IsZero()
		connection.holds = true
		if probes && first {
			_ = socket.WriteMessage(websocket.BinaryMessage, bytes.Repeat(sound[:count], ahead))
		}
		if asks && marked {
			_ = socket.WriteMessage(websocket.TextMessage, []byte(`{"type":"clearMarks"}`))
			probed = time.Now()
		}
		_ = socket.WriteMessage(websocket.BinaryMessage, sound[:count])
		if asks {
			_ = socket.WriteMessage(websocket.TextMessage, []byte(`{"type":"mark","data":{"name":"probe"}}`))
			marked = true
		}
		first = false
		if err := connection.release(); err != nil {
			return err
		}
		figures.echoed(time.Since(arrived))
	}
}

// What was measured since it was last asked for, in milliseconds.
type Figures struct {
	// From a message's arrival until its echo was written.
	Held []float32 `json:"held"`
	// From the writing of a probe until the arrival of its answer.
	Answered []float32 `json:"answered"`
	// Marks that were played before they were taken back: probes that took longer than any of these figures.
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

func (f *Figures) answered(after time.Duration) {
	f.lock.Lock()
	defer f.lock.Unlock()
	f.Answered = append(f.Answered, milliseconds(after))
}

func (f *Figures) late() {
	f.lock.Lock()
	defer f.lock.Unlock()
	f.Late++
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

func (s *stamped) Read(into []byte) (int, error) {
	var count, controls int
	var failed error
	err := s.raw.Read(func(fd uintptr) bool {
		for {
			count, controls, _, _, failed = syscall.Recvmsg(int(fd), into, s.control[:], 0)
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
	if count == 0 && len(into) > 0 {
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

func (s *stamped) Write(from []byte) (int, error) {
	if s.holds {
		s.held = append(s.held, from...)
		return len(from), nil
	}
	return s.TCPConn.Write(from)
}

func (s *stamped) release() error {
	_, err := s.TCPConn.Write(s.held)
	s.holds, s.held = false, s.held[:0]
	return err
}
