// Records the phone's own sensors and hands rows [s, m/s^2 x y z, deg/s x y z] to the page.
const button = element.querySelector("button"), says = element.querySelector("p");
const LONGEST = 120;  // seconds
// iOS alone asks by this function, and its acceleration points the other way
const asks = typeof DeviceMotionEvent !== "undefined" && typeof DeviceMotionEvent.requestPermission === "function";
const sign = asks ? -1 : 1;
let rows = [], begun = 0, waits = 0;

function take(event) {
  const force = event.accelerationIncludingGravity, turn = event.rotationRate;
  if (!force || force.x === null) return;
  if (!rows.length) begun = event.timeStamp;
  const seconds = (event.timeStamp - begun) / 1000;
  if (rows.length && seconds <= rows[rows.length - 1][0]) return;
  const row = [seconds, sign * force.x, sign * force.y, sign * force.z];
  // browsers give the turn around x, y and z as alpha, beta and gamma
  if (turn && turn.alpha !== null) row.push(turn.alpha, turn.beta, turn.gamma);
  rows.push(row);
  says.textContent = `Recording: ${seconds.toFixed(1)} s. Touch again to stop.`;
  if (seconds > LONGEST) stop();
}

function stop() {
  window.removeEventListener("devicemotion", take);
  clearTimeout(waits);
  button.setAttribute("aria-pressed", "false");
  button.textContent = "Record with this phone";
  const width = Math.min(...rows.map((row) => row.length));
  if (rows.length < 2) {
    says.textContent = "No motion came. Open this page on a phone, by https or on the phone itself, and allow its sensors.";
    return;
  }
  says.textContent = `Recorded ${rows[rows.length - 1][0].toFixed(1)} s.`;
  trigger("submit", { rows: rows.map((row) => row.slice(0, width)) });
}

button.addEventListener("click", async () => {
  if (button.getAttribute("aria-pressed") === "true") return stop();
  try {
    if (asks && (await DeviceMotionEvent.requestPermission()) !== "granted") {
      says.textContent = "The sensors were not allowed. Allow motion for this page and touch again.";
      return;
    }
  } catch (error) {
    says.textContent = "The sensors were not allowed. Allow motion for this page and touch again.";
    return;
  }
  rows = [];
  button.setAttribute("aria-pressed", "true");
  button.textContent = "Stop";
  says.textContent = "Waiting for the sensors ...";
  window.addEventListener("devicemotion", take);
  waits = setTimeout(() => { if (!rows.length) stop(); }, 3000);
});
