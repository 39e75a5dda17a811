package seal_test

import (
	"fmt"

	"plimsoll/internal/profile"
	"plimsoll/internal/seal"
)

// A mount is judged by the path that was opened, not by the one that was asked
// for: here /srv/payments/data turned out to be a link.
func ExampleJudge() {
	m, err := seal.ParseMount("/srv/payments/data:/data:ro")
	if err != nil {
		fmt.Println(err)
		return
	}
	allowed := []profile.Mount{{Path: "/srv/payments/**", Writable: true}}
	for _, opened := range []string{"/srv/payments/data", "/home/ann", "/run/docker.sock"} {
		readOnly, err := seal.Judge(opened, m, allowed, nil)
		fmt.Println(readOnly, err)
	}
	// Output:
	// true <nil>
	// false mount of "/srv/payments/data": the profile does not allow "/home/ann"
	// false mount of "/srv/payments/data": "/run/docker.sock" is or holds "/run/docker.sock", which no container may reach
}

func ExampleIdentify() {
	passwd := []byte("root:x:0:0::/root:/bin/sh\nann:x:1000:100::/home/ann:/bin/sh\n")
	group := []byte("users:x:100:\nwheel:x:10:ann\n")
	for _, user := range []string{"", "ann", "7:wheel", "bob", "65536"} {
		id, err := seal.Identify(user, passwd, group)
		fmt.Println(id, err)
	}
	// Output:
	// {0 0 [] /root} <nil>
	// {1000 100 [10] /home/ann} <nil>
	// {7 10 [] /} <nil>
	// {0 0 [] } user "bob": no such name in the image, and no ID from 0 to 65535
	// {0 0 [] } user "65536": no such name in the image, and no ID from 0 to 65535
}
