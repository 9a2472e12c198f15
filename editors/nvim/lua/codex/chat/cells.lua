-- What a transcript is made of, and how each part of it reads: a cell becomes lines of Markdown,
-- and what is highlighted in them beyond what Markdown itself does. Pure.

local blocks = require('codex.chat.blocks')
local calls = require('codex.chat.calls')
local words = require('codex.chat.words')

local M = {}

--- How a call goes; `skipped`: it was not done, as somebody said no, or the turn ended before.
---@alias codex.chat.CallState 'asked'|'answered'|'running'|'done'|'failed'|'skipped'

---@alias codex.chat.CellKind
---| 'heading'|'user'|'message'|'reasoning'|'command'
---| 'patch'|'plan'|'tool'|'notice'|'waiting'

---@class codex.chat.Cell
---@field kind codex.chat.CellKind
---@field folder string? that paths are shown relative to
---@field items table[]? of an input
---@field text string?
---@field command string[]|string|nil
---@field cwd string?
---@field state codex.chat.CallState?
---@field exit_code integer?
---@field seconds number?
---@field output codex.chat.Output?
---@field files codex.chat.PatchedFile[]?
---@field problem string? why a patch was not applied
---@field steps {step: string, status: string}[]?
---@field explanation string?
---@field name string? of a tool
---@field input string? of a tool, as JSON
---@field level 'info'|'warning'|'error'|nil
---@field detail string? what is folded under a notice
---@field live boolean? more of it comes
---@field title codex.chat.Chunk[]? its first line, once it was rendered; also the text of its fold
---@field more integer? the line (from 0) that says that something is left out
---@field places table<integer, codex.chat.Place>? files that its lines (from 0) are about

---@class codex.chat.Place
---@field path string
---@field line integer?

--- What was sent along with a text.
---@param item table
---@param folder string?
---@return string?
function M.attachment(item, folder)
  if item.type == 'image' then
    return 'image'
  elseif type(item.path) ~= 'string' then
    return nil
  end
  local path = words.path(item.path, folder)
  return item.range and ('%s:%s'):format(path, words.range(item.range)) or path
end

---@param block codex.chat.Block
---@param cell codex.chat.Cell
local function input(block, cell)
  local attached = {}
  local said = ''
  for _, item in ipairs(cell.items) do
    if item.type == 'text' then
      said = said .. '\n' .. item.text
      local text = table.concat(words.trimmed(item.text), '\n')
      local fence = words.open_fence(text)
      blocks.add(block, words.lines(fence and text .. '\n' .. fence or text))
    else
      table.insert(attached, item)
    end
  end
  for _, item in ipairs(attached) do
    local label = M.attachment(item, cell.folder)
    -- A file that is named in the text is told once.
    if label and not (item.type == 'mention' and said:find('@' .. label, 1, true)) then
      if item.path then
        local line = item.range and item.range.start.line + 1 or nil
        cell.places = cell.places or {}
        cell.places[#block.lines] = { path = item.path, line = line }
      end
      local with = item.type:find('image') and 'With the image ' or 'With '
      blocks.head(block, { { with, 'CodexHint' }, { label, 'CodexPath', code = true } })
    end
  end
end

---@type table<codex.chat.CellKind, fun(block: codex.chat.Block, cell: codex.chat.Cell)>
local kinds = { command = calls.command, patch = calls.patch, tool = calls.tool }

function kinds.heading(block)
  blocks.head(block, { { '# Codex', 'CodexAgent' } })
end

function kinds.user(block, cell)
  blocks.head(block, { { '# You', 'CodexUser' } })
  cell.places = nil
  input(block, cell)
end

function kinds.waiting(block, cell)
  local inner = { lines = {}, spans = {} }
  input(inner, cell)
  blocks.head(block, { { 'Waits for its turn:', 'CodexAsks' } })
  blocks.add(block, inner.lines, 'CodexWaiting')
  cell.places = nil
end

function kinds.message(block, cell)
  if cell.live then
    blocks.add(block, words.broken(words.begun(cell.text)))
    return
  end
  blocks.add(block, words.broken(words.trimmed(cell.text)))
  local fence = words.open_fence(cell.text)
  if fence then
    blocks.add(block, { fence })
  end
end

function kinds.reasoning(block, cell)
  local first = words.trimmed(cell.text)[1]:gsub('[*_#`]', '')
  local chunks = { { cell.live and 'Thinking' or 'Thought', 'CodexHint' } }
  cell.title = { chunks[1], { ' · ' .. first, 'CodexReasoning' } }
  blocks.head(block, chunks)
  blocks.quoted(block, cell.text, cell.live)
end

function kinds.plan(block, cell)
  local done = 0
  for _, step in ipairs(cell.steps) do
    done = done + (step.status == 'completed' and 1 or 0)
  end
  local chunks = { { 'Plan', 'CodexCall' } }
  table.insert(chunks, { (' · %d of %d done'):format(done, #cell.steps), 'CodexHint' })
  blocks.head(block, chunks)
  if cell.explanation and vim.trim(cell.explanation) ~= '' then
    blocks.add(block, words.trimmed(cell.explanation))
  end
  for _, step in ipairs(cell.steps) do
    local text = table.concat(words.trimmed(step.step), ' ')
    local mark = step.status == 'completed' and '- [x] ' or '- [ ] '
    local now = step.status == 'in_progress'
    blocks.add(block, { mark .. text .. (now and ' ← now' or '') }, now and 'CodexPlanNow' or nil)
  end
end

local LEVELS = {
  error = { 'Error: ', 'CodexError' },
  warning = { 'Warning: ', 'CodexWarning' },
}

function kinds.notice(block, cell)
  local lines = words.trimmed(cell.text)
  local level = LEVELS[cell.level]
  local group = level and level[2] or 'CodexHint'
  local chunks = { { lines[1], group } }
  if level then
    table.insert(chunks, 1, level)
  end
  blocks.head(block, chunks)
  cell.title = chunks
  blocks.add(block, vim.list_slice(lines, 2), group)
  if cell.detail then
    blocks.quoted(block, cell.detail)
  end
end

--- A cell as lines.
---@param cell codex.chat.Cell
---@return codex.chat.Block
function M.render(cell)
  local block = { lines = {}, spans = {} }
  kinds[cell.kind](block, cell)
  for i, line in ipairs(block.lines) do
    if line:find('[\n%z]') then
      block.lines[i] = line:gsub('[\n%z]', ' ')
    end
  end
  return block
end

local FOLDED = { command = true, tool = true, reasoning = true }
local LONG_PATCH = 30

--- Whether a cell of so many lines is folded when it is over.
---@param cell codex.chat.Cell
---@param count integer
---@return boolean
function M.folds(cell, count)
  if count < 2 or cell.live or cell.state == 'asked' or cell.state == 'running' then
    return false
  end
  return FOLDED[cell.kind]
    or cell.kind == 'notice' and cell.detail ~= nil
    or cell.kind == 'patch' and count > LONG_PATCH
    or false
end

return M
