-- A question about a command, a tool, or a patch that is known only as a diff: a floating window.

local M = {}

---@class codex.approval.Answers
---@field answer fun(decision: codex.Decision, extra: table?)
---@field later fun()

--- Ask.
---@param waiting codex.Waiting
---@param answers codex.approval.Answers
---@param note string?
---@return codex.approval.Float
function M.open(waiting, answers, note)
  local text = require('codex.approval.text')
  local details = false
  local float
  ---@param decision codex.Decision
  local function answers_with(decision)
    return function()
      answers.answer(decision)
    end
  end
  local keys = {
    { keys = { 'a' }, label = 'once', run = answers_with('approved') },
    { keys = { 's' }, label = 'for session', run = answers_with('approved_for_session') },
    { keys = { 'd' }, label = 'reject', run = answers_with('denied') },
    { keys = { 'x' }, label = 'reject and stop', run = answers_with('abort') },
    {
      keys = { '?' },
      label = 'details',
      run = function()
        details = not details
        float:show(text.of(waiting, details), float.note)
      end,
    },
    { keys = { 'q', '<Esc>' }, label = 'later', run = answers.later },
  }
  if waiting.kind == 'patch' then
    -- There is no "for this session" of a patch.
    table.remove(keys, 2)
    keys[1].label = 'apply'
  end
  float = require('codex.approval.float').open(text.of(waiting), keys, answers.later, note)
  return float
end

return M
