// The server library of Pusher Channels for Go, for pusher.test.mjs, which runs it beside clients.
//
// Arguments: the port of a node, then the port on which it takes requests for signatures and webhooks.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"

	"github.com/pusher/pusher-http-go/v5"
)

func main() {
	client := &pusher.Client{
		AppID:                     os.Getenv("APP_ID"),
		Key:                       os.Getenv("APP_KEY"),
		Secret:                    os.Getenv("APP_SECRET"),
		Host:                      "127.0.0.1:" + os.Args[1],
		EncryptionMasterKeyBase64: os.Getenv("MASTER_KEY"),
	}
	serve := func(path string, answer func(request *http.Request, body []byte) (any, error)) {
		http.HandleFunc(path, func(writer http.ResponseWriter, request *http.Request) {
			body, err := io.ReadAll(request.Body)
			if err == nil {
				var value any
				if value, err = answer(request, body); err == nil {
					err = json.NewEncoder(writer).Encode(value)
				}
			}
			if err != nil {
				http.Error(writer, err.Error(), http.StatusBadRequest)
			}
		})
	}
	serve("/auth", func(_ *http.Request, body []byte) (any, error) { return authorize(client, body) })
	serve("/user-auth", func(_ *http.Request, body []byte) (any, error) {
		signed, err := client.AuthenticateUser(body, map[string]any{"id": "ada"})
		return json.RawMessage(signed), err
	})
	serve("/hooks", func(request *http.Request, body []byte) (any, error) {
		webhook, err := client.Webhook(request.Header, body)
		if err == nil {
			for _, event := range webhook.Events {
				fmt.Println(event.Name, event.Channel, event.Event, event.Data, event.UserID)
			}
		}
		return nil, err
	})
	serve("/publish", func(*http.Request, []byte) (any, error) { return publish(client) })
	serve("/questions", func(*http.Request, []byte) (any, error) { return questions(client) })
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Args[2], nil))
}

func authorize(client *pusher.Client, body []byte) (json.RawMessage, error) {
	if strings.Contains(string(body), "channel_name=presence-") {
		member := pusher.MemberData{UserID: "ada", UserInfo: map[string]string{"name": "Ada"}}
		return client.AuthorizePresenceChannel(body, member)
	}
	return client.AuthorizePrivateChannel(body)
}

// publish sends events in each way that the library has.
func publish(client *pusher.Client) (any, error) {
	count := "subscription_count"
	events := []pusher.Event{
		{Channel: "news", Name: "batch-1", Data: "text", Info: &count},
		{Channel: "private-room", Name: "batch-2", Data: map[string]int{"n": 2}},
	}
	batch, err := client.TriggerBatch(events)
	if err != nil {
		return nil, err
	}
	for _, channel := range []string{"private-room", "presence-room", "private-encrypted-room"} {
		if err := client.Trigger(channel, "event", map[string]string{"text": "<ž>"}); err != nil {
			return nil, err
		}
	}
	if err := client.SendToUser("ada", "letter", "to ada"); err != nil {
		return nil, err
	}
	info, err := client.TriggerWithParams("news", "end", []int{1}, pusher.TriggerParams{Info: &count})
	return map[string]any{"batch": batch.Batch, "channels": info.Channels}, err
}

// questions asks who is there.
func questions(client *pusher.Client) (any, error) {
	prefix, count, both := "presence-", "user_count", "user_count,subscription_count"
	channels, err := client.Channels(pusher.ChannelsParams{FilterByPrefix: &prefix, Info: &count})
	if err != nil {
		return nil, err
	}
	channel, err := client.Channel("presence-room", pusher.ChannelParams{Info: &both})
	if err != nil {
		return nil, err
	}
	users, err := client.GetChannelUsers("presence-room")
	if err != nil {
		return nil, err
	}
	stranger := *client
	stranger.Secret = "another"
	refused := stranger.Trigger("news", "event", "")
	return map[string]any{"channels": channels.Channels, "channel": channel, "users": users.List, "refused": refused.Error()}, nil
}
