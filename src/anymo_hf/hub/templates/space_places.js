// A touched place on the body becomes the value.
element.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-place]");
  if (!button) return;
  props.value = button.dataset.place;
  trigger("select");
});
