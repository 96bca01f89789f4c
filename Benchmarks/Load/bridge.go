// The same bridge as bridge.c as one writes it in Go with the usual WebSocket package: two goroutines a call,
// encoding/json, and for resampling the two-tap interpolation that glue code uses. A comparison, not part of the
// product.
//
// usage: bridge_go --port P --agent-port A [--mode passthrough|resample]
package main

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net/http"
	"sync"

	"github.com/gorilla/websocket"
)

type phoneMessage struct {
	Event     string `json:"event"`
	StreamSid string `json:"streamSid"`
	Media     struct {
		Payload string `json:"payload"`
	} `json:"media"`
}

type agentMessage struct {
	Type  string `json:"type"`
	Audio struct {
		Base64 string `json:"audio_base_64"`
	} `json:"audio_event"`
	Ping struct {
		EventID int `json:"event_id"`
	} `json:"ping_event"`
}

type mediaOut struct {
	Event     string `json:"event"`
	StreamSid string `json:"streamSid"`
	Media     struct {
		Payload string `json:"payload"`
	} `json:"media"`
}

var (
	port      = flag.Int("port", 0, "port of the media stream")
	agentPort = flag.Int("agent-port", 0, "port of the agent")
	mode      = flag.String("mode", "passthrough", "passthrough or resample")
	values    [256]int16
	upgrader  = websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
)

func prepare() {
	for code := range values {
		inverted := ^code & 0xFF
		magnitude := (((inverted&15)<<1|33)<<(inverted>>4&7) - 33) * 4
		if inverted&0x80 != 0 {
			magnitude = -magnitude
		}
		values[code] = int16(magnitude)
	}
}

func encode(sample int16) byte {
	m, sign := int(sample), 0
	if m < 0 {
		m, sign = ^m, 0x80
	}
	m = m>>2 + 33
	if m > 8191 {
		m = 8191
	}
	segment := 0
	for m>>(segment+6) != 0 {
		segment++
	}
	return ^byte(sign | segment<<4 | m>>(segment+1)&15)
}

// resampler keeps the last sample at 8 kHz.
type resampler struct{ last int16 }

func (r *resampler) up(octets []byte) []byte {
	out := make([]byte, len(octets)*4)
	for i, octet := range octets {
		sample := values[octet]
		binary.LittleEndian.PutUint16(out[4*i:], uint16((int(r.last)+int(sample))/2))
		binary.LittleEndian.PutUint16(out[4*i+2:], uint16(sample))
		r.last = sample
	}
	return out
}

func down(wide []byte) []byte {
	out := make([]byte, len(wide)/4)
	for i := range out {
		a, b := int16(binary.LittleEndian.Uint16(wide[4*i:])), int16(binary.LittleEndian.Uint16(wide[4*i+2:]))
		out[i] = encode(int16((int(a) + int(b)) / 2))
	}
	return out
}

// call is one bridged call; both goroutines write to the agent.
type call struct {
	phone, agent *websocket.Conn
	stream       string
	writing      sync.Mutex
}

func (c *call) toAgent(message any) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	return c.agent.WriteJSON(message)
}

func serve(w http.ResponseWriter, request *http.Request) {
	phone, err := upgrader.Upgrade(w, request, nil)
	if err != nil {
		return
	}
	c := &call{phone: phone}
	defer phone.Close()
	var state resampler
	for {
		_, data, err := phone.ReadMessage()
		var message phoneMessage
		if err != nil || json.Unmarshal(data, &message) != nil || message.Event == "stop" {
			return
		}
		switch message.Event {
		case "start":
			url := fmt.Sprintf("ws://127.0.0.1:%d/v1/convai/conversation?agent_id=agent_load", *agentPort)
			c.agent, _, err = websocket.DefaultDialer.Dial(url, nil)
			if err != nil {
				return
			}
			defer c.agent.Close()
			c.stream = message.StreamSid
			if c.toAgent(map[string]string{"type": "conversation_initiation_client_data"}) != nil {
				return
			}
			go c.readAgent()
		case "media":
			audio, err := base64.StdEncoding.DecodeString(message.Media.Payload)
			if err != nil || c.agent == nil {
				return
			}
			if *mode == "resample" {
				audio = state.up(audio)
			}
			if c.toAgent(map[string]string{"user_audio_chunk": base64.StdEncoding.EncodeToString(audio)}) != nil {
				return
			}
		}
	}
}

func (c *call) readAgent() {
	defer c.phone.Close()
	for {
		_, data, err := c.agent.ReadMessage()
		var message agentMessage
		if err != nil || json.Unmarshal(data, &message) != nil {
			return
		}
		switch message.Type {
		case "audio":
			audio, err := base64.StdEncoding.DecodeString(message.Audio.Base64)
			if err != nil {
				return
			}
			if *mode == "resample" {
				audio = down(audio)
			}
			out := mediaOut{Event: "media", StreamSid: c.stream}
			out.Media.Payload = base64.StdEncoding.EncodeToString(audio)
			if c.phone.WriteJSON(out) != nil {
				return
			}
		case "ping":
			if c.toAgent(map[string]any{"type": "pong", "event_id": message.Ping.EventID}) != nil {
				return
			}
		}
	}
}

func main() {
	flag.Parse()
	if *port <= 0 || *agentPort <= 0 || (*mode != "passthrough" && *mode != "resample") {
		log.Fatal("usage: bridge_go --port P --agent-port A [--mode passthrough|resample]")
	}
	prepare()
	http.HandleFunc("/", serve)
	log.Fatal(http.ListenAndServe(fmt.Sprintf("127.0.0.1:%d", *port), nil))
}
