// The same bridge as bridge.c as one writes it in Go with the usual WebSocket package: two goroutines a call, encoding/json,
// and for resampling the two-tap interpolation that glue code uses. A comparison, not part of the product.
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
	Event     string            `json:"event"`
	StreamSid string            `json:"streamSid"`
	Media     map[string]string `json:"media"`
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

// up and down keep one sample of history each.
type resampler struct{ last, lastDown int16 }

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

func (r *resampler) down(wide []byte) []byte {
	out := make([]byte, len(wide)/4)
	for i := range out {
		a, b := int16(binary.LittleEndian.Uint16(wide[4*i:])), int16(binary.LittleEndian.Uint16(wide[4*i+2:]))
		out[i] = encode(int16((int(a) + int(b)) / 2))
	}
	return out
}

func serve(w http.ResponseWriter, request *http.Request) {
	phone, err := upgrader.Upgrade(w, request, nil)
	if err != nil {
		return
	}
	defer phone.Close()
	var agent *websocket.Conn
	var state resampler
	for {
		_, data, err := phone.ReadMessage()
		if err != nil {
			break
		}
		var message phoneMessage
		if json.Unmarshal(data, &message) != nil || message.Event == "stop" {
			break
		}
		switch message.Event {
		case "start":
			url := fmt.Sprintf("ws://127.0.0.1:%d/v1/convai/conversation?agent_id=agent_load", *agentPort)
			agent, _, err = websocket.DefaultDialer.Dial(url, nil)
			if err != nil {
				return
			}
			defer agent.Close()
			hello := `{"type":"conversation_initiation_client_data"}`
			if agent.WriteMessage(websocket.TextMessage, []byte(hello)) != nil {
				return
			}
			pongs := make(chan int, 8)
			go fromAgent(agent, phone, message.StreamSid, pongs)
			defer close(pongs)
			// The socket has one writer: pongs go out with the next packet.
			agentPongs[agent] = pongs
		case "media":
			audio, err := base64.StdEncoding.DecodeString(message.Media.Payload)
			if err != nil || agent == nil {
				return
			}
			if *mode == "resample" {
				audio = state.up(audio)
			}
			chunk := map[string]string{"user_audio_chunk": base64.StdEncoding.EncodeToString(audio)}
			if agent.WriteJSON(chunk) != nil {
				return
			}
		}
	}
}
