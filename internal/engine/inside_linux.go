package engine

type inside struct{}

func (*inside) close() {}

func (q *request) enter(string) (*inside, error) { return nil, nil }

func (q *request) copyInside(*inside) error { return nil }
