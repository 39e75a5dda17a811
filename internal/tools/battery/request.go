//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// object is a JSON object of the engine's API.
type object = map[string]any

// post sends a request straight to the engine's socket and decodes the answer.
func (s *setup) post(ctx context.Context, path string, body any) (status int, answer object, err error) {
	text, err := json.Marshal(body)
	if err != nil {
		return 0, nil, fmt.Errorf("ask engine: %w", err)
	}
	if s.chain != nil {
		status, text, err = s.send(ctx, http.MethodPost, path, text)
		return status, decode(text), err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://engine/v1.41"+path, bytes.NewReader(text))
	if err != nil {
		return 0, nil, fmt.Errorf("ask engine: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := s.Client().Do(req)
	if err != nil {
		return 0, nil, fmt.Errorf("ask engine: %w", err)
	}
	defer resp.Body.Close()
	if text, err = io.ReadAll(resp.Body); err != nil {
		return 0, nil, fmt.Errorf("ask engine: %w", err)
	}
	return resp.StatusCode, decode(text), nil
}

func decode(text []byte) (answer object) {
	if len(bytes.TrimSpace(text)) > 0 && json.Unmarshal(text, &answer) != nil {
		answer = object{"message": string(text)}
	}
	return answer
}

// refusal is what an engine says to a request that it does not do.
type refusal string

func (r refusal) Error() string { return string(r) }

// create makes and starts a container from a body of the API. A [refusal] says
// that there is none.
func (s *setup) create(ctx context.Context, body object) (string, error) {
	status, answer, err := s.post(ctx, "/containers/create", body)
	if err != nil {
		return "", err
	}
	id, _ := answer["Id"].(string)
	if status != http.StatusCreated || id == "" {
		return "", refusal(fmt.Sprintf("create: %d %v", status, answer["message"]))
	}
	status, answer, err = s.post(ctx, "/containers/"+id+"/start", nil)
	if err == nil && status != http.StatusNoContent {
		err = refusal(fmt.Sprintf("start: %d %v", status, answer["message"]))
	}
	if err != nil {
		s.remove(ctx, id)
		return "", err
	}
	return id, nil
}

// bigRequest asks in a body of more than 1 MiB.
func bigRequest(ctx context.Context, s *setup) outcome {
	id, err := s.create(ctx, object{
		"Image": image, "Cmd": []string{"attack", "release"}, "Labels": object{"padding": strings.Repeat("x", 1100<<10)},
		"HostConfig": object{"CapAdd": []string{"SYS_ADMIN"}, "SecurityOpt": []string{"seccomp=unconfined"}},
	})
	if err != nil {
		return stopped("refused", err.Error())
	}
	defer s.remove(ctx, id)
	return s.logged(ctx, id)
}
