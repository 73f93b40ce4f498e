export default {
  files: ['build/tests/**/*.test.js'],
  // Tests are real builds and real boots, on machines that may be slow.
  timeout: '5m',
  // One at a time in a file, or a machine with few cores is given so much at once that servers in tests answer late. More
  // files than cores: tests wait for guests and for time-outs.
  serial: true,
  concurrency: 4,
};
