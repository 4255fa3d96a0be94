// The runtime's own limit: a Worker that does nothing.
export default {
  fetch() {
    return new Response("hello");
  },
};
