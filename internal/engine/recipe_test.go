package engine

import (
	"strings"
	"testing"

	"plimsoll/internal/fault"
)

// judged reads a Dockerfile with a judge that knows busybox alone.
func judged(text string, args map[string]string) (string, error) {
	r := recipe{args: args, known: map[string]string{}, judge: func(image string) (string, error) {
		if image != "busybox" {
			return "", denied("image %q", image)
		}
		return "sha256:b0b", nil
	}}
	out, err := r.read(text)
	return string(out), err
}

// TestDockerfilesAreWrittenAnew shows what an engine reads in a Dockerfile's place.
func TestDockerfilesAreWrittenAnew(t *testing.T) {
	for text, want := range map[string]string{
		"FROM busybox\n": "FROM sha256:b0b\n",
		"\ufeff# syntax=x\nARG B=busy\nFROM  ${B}box  AS One\r\nRUN a \\\n # no\n\n  b\nFROM one\nCOPY --chown=1:1  --from=busybox  a b  /c\n":        "ARG B=busy\nFROM sha256:b0b AS One\nRUN a   b\nFROM one\nCOPY --chown=1:1 --from=sha256:b0b a b  /c\n",
		"FROM --platform=linux/amd64 busybox\nCOPY --from=0 a b\nADD [\"a b\", \"/\"]\nONBUILD COPY . /x\nARG X=\"a b\"\nRUN echo $((1<<2)) \\\\ x\n": "FROM --platform=linux/amd64 sha256:b0b\nCOPY --from=0 a b\nADD [\"a b\", \"/\"]\nONBUILD COPY . /x\nARG X=\"a b\"\nRUN echo $((1<<2)) \\\\ x\n",
		"FROM scratch\nRUN x \\":                       "",
		"from busybox\nRUN x \\":                       "FROM sha256:b0b\nRUN x\n",
		"ARG A=evil\nARG A=busybox\nFROM $A\nCOPY a b": "ARG A=evil\nARG A=busybox\nFROM sha256:b0b\nCOPY a b\n",
	} {
		got, err := judged(text, nil)
		if want == "" {
			continue // scratch is the caller's to know
		}
		if err != nil || got != want {
			t.Errorf("%q is written anew as\n%q, wanted\n%q, %v", text, got, want, err)
		}
	}
}

// TestDockerfilesThatEnginesReadOtherwise holds every way found to show the judge
// one image and the engine another.
func TestDockerfilesThatEnginesReadOtherwise(t *testing.T) {
	const b = "FROM busybox\n"
	for what, text := range map[string]string{
		"two backslashes continue for old engines only":      b + "RUN true \\\\\nFROM evil\n",
		"a carriage return hides a backslash":                b + "RUN true \\\r\r\nFROM evil\n",
		"a lone carriage return":                             b + "RUN true\rFROM evil\n",
		"an escaped flag":                                    b + "COPY --fr\\om=evil a b\n",
		"a quoted flag":                                      b + "COPY --\"from\"=evil a b\n",
		"a quoted value":                                     b + "COPY --from=\"evil\" a b\n",
		"a flag in a quoted flag":                            b + "COPY --chown=\"1 --from=busybox\" --from=evil a b\n",
		"a flag of another case":                             b + "COPY --FROM=evil a b\n",
		"an escaped space in a flag":                         "FROM --platform=x\\ busybox evil\n",
		"a platform that is a variable":                      "FROM --platform=$X busybox\n",
		"a quoted argument that holds another":               "ARG B=evil\nARG A=\"x B=busybox\"\nFROM $B\n",
		"an argument whose name is a variable":               "ARG B=busybox\nARG Y=\nARG ${Y}B=evil\nFROM $B\n",
		"an argument whose name is quoted":                   "ARG B=busybox\nARG 'B'=evil\nFROM $B\n",
		"more than FROM has":                                 "FROM busybox evil\n",
		"a here-document with a number":                      b + "COPY <<1 /x\nFROM busybox\n1\n",
		"a here-document of a descriptor":                    b + "RUN 3<<E\nE\n",
		"a space that is none":                               b + "COPY\u3000--from=evil a b\n",
		"the escape directive":                               "# escape=`\n" + b,
		"another image on build":                             b + "ONBUILD COPY --from=evil a b\n",
		"an address":                                         b + "ADD http://169.254.169.254/x /x\n",
		"an address in quotes":                               b + "ADD http:\"/\"/x /x\n",
		"an address as a variable":                           b + "ENV U=http://x/\nADD $U /x\n",
		"an address in JSON":                                 b + "ADD [\"http:\\u002f/x\", \"/\"]\n",
		"an address on build":                                b + "ONBUILD ADD http://x/ /x\n",
		"a repository":                                       b + "ADD git@x:y.git /x\n",
		"a comment that a backslash makes an instruction of": b + "\\\n \\\n",
	} {
		out, err := judged(text, nil)
		if strings.Contains(what, "comment that") {
			if strings.Contains(out, "\\") {
				t.Errorf("%s: %q", what, out)
			}
			continue
		}
		if !fault.Is(err, fault.Denied) {
			t.Errorf("%s: %q became %q, %v", what, text, out, err)
		}
	}
}

// TestTriggersOfBases judges what base images do when they are built on.
func TestTriggersOfBases(t *testing.T) {
	if err := judgeTriggers("x", []string{"COPY . /src", "RUN make \\\\ all", "COPY --from=0 /a /b"}); err != nil {
		t.Errorf("plain ones: %v", err)
	}
	for _, trigger := range []string{"COPY --from=evil a b", "COPY --fr\\om=evil a b", "COPY --fr\\\nom=evil a b", "ADD http://x/ /", "FROM evil", "# escape=`", "RUN <<E"} {
		if err := judgeTriggers("x", []string{trigger}); !fault.Is(err, fault.Denied) {
			t.Errorf("%q: %v", trigger, err)
		}
	}
}

func FuzzRecipe(f *testing.F) {
	for _, s := range []string{"FROM busybox\n", "ARG A=busybox\nFROM $A AS b\nCOPY --from=b x y\n", "FROM busybox\nRUN a \\\n#c\nb\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		out, err := judged(text, nil)
		if err != nil {
			return
		}
		// What was written anew is read as it was judged: images are IDs by then.
		r := recipe{args: nil, known: map[string]string{}, judge: func(image string) (string, error) {
			if image != "sha256:b0b" {
				t.Fatalf("%q became %q, which names %q", text, out, image)
			}
			return image, nil
		}}
		again, err := r.read(out)
		if err != nil || string(again) != out {
			t.Errorf("%q became %q and then %q, %v", text, out, again, err)
		}
	})
}
