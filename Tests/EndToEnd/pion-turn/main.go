// A TURN server of Pion's, over UDP, that minds when credentials expire: it refuses every request that is made with them then,
// and ends what was allocated with them. coturn 4.6.1 looks at the time only when something is allocated.
package main

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"flag"
	"log"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/pion/logging"
	"github.com/pion/turn/v2"
)

// Who has just shown a password, and until when it is good. Requests are taken one by one, so the next allocation is this user's.
type admission struct {
	relay  net.IP
	secret []byte
	ahead  time.Duration
	name   string
	until  time.Time
}

// The key of `TIME:ID`, or of `TIME`; not ok where that time is over.
func (a *admission) key(name, realm string, source net.Addr) ([]byte, bool) {
	seconds, err := strconv.ParseInt(strings.SplitN(name, ":", 2)[0], 10, 64)
	if err != nil {
		return nil, false
	}
	until := time.Unix(seconds, 0).Add(-a.ahead)
	if time.Now().After(until) {
		log.Printf("refused: %s, which has expired, of %s", name, source)
		return nil, false
	}
	a.name, a.until = name, until
	mac := hmac.New(sha1.New, a.secret)
	mac.Write([]byte(name))
	return turn.GenerateAuthKey(name, realm, base64.StdEncoding.EncodeToString(mac.Sum(nil))), true
}

func (a *admission) Validate() error { return nil }

// The server forgets an allocation whose socket is closed.
func (a *admission) AllocatePacketConn(network string, port int) (net.PacketConn, net.Addr, error) {
	made, err := net.ListenUDP("udp4", &net.UDPAddr{IP: a.relay, Port: port})
	if err != nil {
		return nil, nil, err
	}
	name := a.name
	log.Printf("allocated: %s for %s", made.LocalAddr(), name)
	time.AfterFunc(time.Until(a.until), func() {
		log.Printf("ended: %s of %s", made.LocalAddr(), name)
		_ = made.Close()
	})
	return made, made.LocalAddr(), nil
}

func (a *admission) AllocateConn(network string, port int) (net.Conn, net.Addr, error) {
	return nil, nil, net.ErrClosed
}

func main() {
	listen := flag.String("listen", "127.0.0.1:3478", "where it is asked")
	relay := flag.String("relay", "127.0.0.1", "the address from which it relays")
	realm := flag.String("realm", "patchbay", "realm")
	secret := flag.String("secret", "", "what it shares with those who make credentials")
	ahead := flag.Duration("ahead", 0, "by how much its clock is ahead")
	flag.Parse()
	log.SetOutput(os.Stdout)
	log.SetFlags(0)
	socket, err := net.ListenPacket("udp4", *listen)
	if err != nil {
		log.Fatal(err)
	}
	admission := &admission{relay: net.ParseIP(*relay), secret: []byte(*secret), ahead: *ahead}
	if _, err = turn.NewServer(turn.ServerConfig{
		Realm:             *realm,
		AuthHandler:       admission.key,
		LoggerFactory:     &logging.DefaultLoggerFactory{DefaultLogLevel: logging.LogLevelDisabled},
		PacketConnConfigs: []turn.PacketConnConfig{{PacketConn: socket, RelayAddressGenerator: admission}},
	}); err != nil {
		log.Fatal(err)
	}
	log.Printf("listening: %s", *listen)
	select {}
}
